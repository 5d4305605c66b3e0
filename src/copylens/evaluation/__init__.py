"""From similarities to rates. In: similarities. Out: thresholds, rates with confidence intervals, sensitivities.

T are the training images, V calibration, H control, S synthetic ones.

neighbours    each image's nearest training images
intervals     confidence intervals: bootstraps over patients, effective sample sizes
areas         areas under the curve, with intervals
thresholds    the rules of copying: thresholds from V, rates on S and H, exposure
prevalence    the prevalence of copies, given sensitivity and false positive rate
scores        the table of a study's rates
combination   several detectors' evidence for the same patient, combined
agreement     the agreement of several detectors
transforms    the transforms of planted copies
families      families of transforms with a severity and random parameters
contents      the families that hide, mark or mix an image's content
planted       planted copies, and control images under the same transforms
benchmark     a detector's sensitivity to planted copies
duplicates    near-duplicates within a data set
review        blinded review of pairs by people
membership    whether samples give away who was trained on, however little they look like anybody
halves        whether the halves of an image lead to one sample, and to each other
shift         whether training patients differ from others without any generator
correction    rates corrected for sensitivity and false positive rate
copies        copies among samples in arrays, by one detector
forecast      the step at which a training begins to memorize
quality       fidelity, diversity and novelty of samples
usefulness    what samples are worth to a network that learns from them alone
classes       what samples of several classes are worth to a classifier
"""
