"""The methods as tools of the Model Context Protocol, for assistants that edit pictures for a person."""
