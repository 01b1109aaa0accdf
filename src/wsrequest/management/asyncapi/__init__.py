"""The AsyncAPI document of a project: what ``manage.py wsschema`` writes."""
