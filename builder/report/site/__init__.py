"""The report as a site of static pages."""
