"""Does a pretrained language model bring a bias over the cells of a grid, with nothing trained?"""
