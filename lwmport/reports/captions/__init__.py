"""What two devices said of the same pictures: the record, and the page."""
