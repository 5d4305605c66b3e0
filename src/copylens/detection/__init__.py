"""Which training image is a sample like? In: images and a detector. Out: nearest training images and similarities.

detectors     one file per kind of copy detector
networks      the embedding networks that detectors share
train         train or fit a detector on T
embed         load it, and embed images
likeness      how alike two images are that lie on each other
shortlist     which training images are worth a closer look
search        nearest neighbours by correlation of embeddings, exact or approximate, at any size
nearest       nearest training images by a detector, whatever its kind
regions       which parts of an image are repeated
"""
