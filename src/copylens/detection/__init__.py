"""Copy detection. In: images and a detector. Out: each image's nearest training images, with their similarities.

detectors     one file per kind of copy detector
networks      the embedding networks that detectors share
train         train or fit a detector on the training images
embed         load a detector, and embed images
maps          the maps of images that detectors compare
descriptors   a network of local descriptors, and its loss
votes         the training images that an image's local descriptors vote for
likeness      pixelwise similarity of two aligned images
standing      the training images that stand out in windows near their place
shortlist     a coarse search that preselects training images
search        nearest neighbours by correlation of embeddings, exact or approximate, at any size
nearest       nearest training images by a detector of any kind
planes        2D networks on volumes: features of slices in three planes
regions       regions of training images that samples repeat
"""
