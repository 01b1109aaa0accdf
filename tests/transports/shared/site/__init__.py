"""The project that is served: the tests' own, with what another process can steer."""
