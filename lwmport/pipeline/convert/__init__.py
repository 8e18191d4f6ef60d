"""From a request to artifacts, a manifest and a report in one folder."""
