"""Can a set of synthetic images be released? In: images of T, V, H and S. Out: a verdict, reports, and the rest.

In the order in which it is found out:

pool           the images of T, V, H and S in arrays of their own; shared patients, which make comparing worthless
repeats        samples that are one and the same image
kind           whether the samples are images of the same kind as the patients'
nearest        each image's nearest training images by one detector, and those of copies planted in these very data
evidence       which samples are copies, and what images of new patients and planted copies say about that
exposure       how many patients that exposes, and who they are
membership     whether a network's weights give away who was trained on
measure        everything that is counted, once
comparability  the verdict's lines about the images themselves, before any copy is counted
criteria       the policy's demands of what was counted, and how each is met
outcomes       the three verdicts
conclude       PASS, FAIL or NOT ABLE TO SAY, from how the criteria are met
withhold       which samples are withheld at a threshold, and what is left
quarantine     whether the samples that are left may be released
verdict        all of that as one map
release        the folder of the samples that are left
publish        the verdict and tables of samples, for everybody and restricted
report         the same as pages
gate           the verdict as an exit code
"""
