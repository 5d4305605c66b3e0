"""What comparisons mean. In: similarities. Out: thresholds, rates with intervals, and what detectors miss.

neighbours    each image's nearest training images
intervals     confidence intervals: patients drawn again, effective sample sizes
thresholds    the rules of copying: thresholds from V, rates on S and H, exposure
prevalence    the share that is true, given sensitivity and false positive rate
scores        a study's rates
agreement     what several detectors say together
transforms    what is done to planted copies
planted       planted copies, which every detector is measured with
benchmark     how many of them a detector finds
duplicates    near-duplicates within a data set
review        pairs that people judge
correction    rates corrected for what is missed and for false positives
quality       how good samples are, and how various
"""
