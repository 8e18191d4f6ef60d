"""Why an operator gives other values than it should: rules over what went in and what came out."""
