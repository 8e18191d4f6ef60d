"""A ring: several processes run one language model, each of them some of the tokens.

A rank keeps the states of its own tokens, and their keys and values in every layer. In each layer keys and values
travel from rank to rank until every query has seen them. Source: Liu, Zaharia and Abbeel, "Ring Attention with
Blockwise Transformers", arXiv:2310.01889, algorithm 1.
"""
