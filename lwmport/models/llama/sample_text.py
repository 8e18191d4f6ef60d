"""A short text to judge language models on, and its tokens: the same on every machine, with nothing to download.

The tokens are those of LLaMA's tokenizer, with the mark of a beginning in front, which LWM's models read. A model with
fewer words than that tokenizer reads each token modulo their number: other words then, in the same order.
"""

from typing import Final

TEXT: Final = (
    "A converter takes a model from one program and gives it to another. The numbers that come out should stay "
    "the same, and so they are compared, one by one, on inputs that people use: a photograph, a page of text, a "
    "question and its answer. A small error is no surprise, for sums are taken in another order. A large one has "
    "a cause, and the cause is found by looking inside: which layer was the first to differ, and by how much? In "
    "the morning the harbour is quiet. Two boats leave for the island, and an old man counts the birds that "
    "follow them. He has done so every day for thirty years, and he writes the count into a blue book. Some days "
    "there are five, some days there are forty; nobody knows why. His daughter says that the book is worth more "
    "than the boats."
)

IDS: Final = (
    *(1, 319, 29105, 4893, 263, 1904, 515, 697, 1824, 322, 4076, 372, 304, 1790, 29889, 450, 3694, 393, 2041, 714),
    *(881, 7952, 278, 1021, 29892, 322, 577, 896, 526, 9401, 29892, 697, 491, 697, 29892, 373, 10970, 393, 2305),
    *(671, 29901, 263, 17739, 29892, 263, 1813, 310, 1426, 29892, 263, 1139, 322, 967, 1234, 29889, 319, 2319, 1059),
    *(338, 694, 16671, 29892, 363, 25470, 526, 4586, 297, 1790, 1797, 29889, 319, 2919, 697, 756, 263, 4556, 29892),
    *(322, 278, 4556, 338, 1476, 491, 3063, 2768, 29901, 607, 7546, 471, 278, 937, 304, 1163, 29892, 322, 491, 920),
    *(1568, 29973, 512, 278, 7250, 278, 4023, 6526, 338, 11813, 29889, 7803, 25462, 5967, 363, 278, 11359, 29892),
    *(322, 385, 2030, 767, 18139, 278, 17952, 393, 1101, 963, 29889, 940, 756, 2309, 577, 1432, 2462, 363, 17058),
    *(2440, 29892, 322, 540, 15873, 278, 2302, 964, 263, 7254, 3143, 29889, 3834, 3841, 727, 526, 5320, 29892, 777),
    *(3841, 727, 526, 20949, 29936, 23196, 9906, 2020, 29889, 3600, 8750, 4083, 393, 278, 3143, 338, 7088, 901),
    *(1135, 278, 25462, 29889),
)
"""The tokens of `TEXT`."""
