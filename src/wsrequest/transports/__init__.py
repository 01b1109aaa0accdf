"""The skins over the one core: ASGI, and the plain function call of 2014."""
