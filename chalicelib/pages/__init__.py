"""HTML for people, from templates: the dataset site, login, consent and error pages."""
