"""Can a set of synthetic images be released? In the order in which it is found out:

pool        the images of T, V, H and S in arrays of their own, and what makes a comparison worthless: shared patients
repeats     samples that are one and the same image
kind        whether the samples are images of the same kind as the patients'
comparison  each image's nearest training images by one detector, and those of copies planted in these very data
evidence    which samples are copies, and what images of new patients and planted copies say about that
exposure    how many patients that exposes, and who they are
membership  whether a network's weights give away who was trained on
demands     the policy's demands of what was counted, and how each is met
comparable  the verdict's lines about the images themselves, before any copy is counted
verdict     evidence against a policy: PASS, FAIL or NOT ABLE TO SAY
quarantine  which samples to withhold, and what is to be said of the rest
words       what both write sentences with
publish     the verdict and tables of samples, for everybody and restricted
report      the same as pages
rest        the folder of the samples that are left
gate        the verdict as an exit code
"""
