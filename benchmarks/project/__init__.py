"""The small Django project that every contender serves: same views, same middleware."""
