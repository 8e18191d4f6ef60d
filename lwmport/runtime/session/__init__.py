"""Sessions: a language model run token after token, its states kept where its runtime has them."""
