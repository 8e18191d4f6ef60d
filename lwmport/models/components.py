from lwmport.models.vqgan_components import vqgan_decoder, vqgan_encoder, vqgan_weights  # noqa: D100, F401
