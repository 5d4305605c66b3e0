"""Can a set of synthetic images be released? In: images of T, V, H and S. Out: a verdict, reports, the other samples.

T are the training images, V calibration, H control, S synthetic ones. The files, in the order of an audit:

pool           the images of T, V, H and S in the audit's arrays; an error if roles share a patient or an image
repeats        samples that repeat one image
kind           whether the samples are images of the same kind as the patients'
attacks        what attacks on the samples need: whitened images, and whether patients are of one kind
nearest        the nearest training image of every image and planted copy, by one detector
findings       one detector's results, and its thresholds
rules          what makes a copy: two detectors that agree, or the combined evidence of all
evidence       which samples are copies; the rule's false positive rate and sensitivity
exposure       how many patients the samples expose, and of which groups
membership     whether a network's losses separate training patients from others
disclosure     what the samples tell about training patients besides copies
measure        all counts and rates of an audit
comparability  the verdict's lines about the images themselves, before any copy is counted
criteria       the verdict's lines about rates, each with the policy's limit
risks          the verdict's lines about what samples or weights tell besides copies
consistency    whether other calibration patients lead to the same verdict
outcomes       the three verdicts
conclude       PASS, FAIL or NOT ABLE TO SAY, from the lines' outcomes
withhold       which samples are withheld at a threshold, and which share of planted copies
quarantine     whether the samples that are left may be released
verdict        the verdict as one map
sums           the checksums of a folder to release
release        the folder of the samples that are left
patients       the hospital's own ids of the pseudonyms
publish        the verdict and tables of samples, public and restricted
report         the reports as pages
crate          the public folder as a research object
gate           the verdict as an exit code
verify         whether a folder's files are those of a report
mitigations    a study's verdicts beside the quality of its images
planning       how many patients and samples it takes to be able to PASS
folders        from folders of images to an audit's configuration
in_process     an audit without a workflow
interface      the function copylens.audit, and its Verdict
"""
