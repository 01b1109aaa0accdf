"""Events: from whoever publishes, by a broker, to the subscriptions in every process."""
