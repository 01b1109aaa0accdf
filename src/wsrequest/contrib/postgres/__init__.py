"""What a PostgresBroker needs in its database, as an app: tables, functions and a trigger, made by ``migrate``."""
