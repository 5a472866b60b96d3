"""Holds a body of Zipkin's /api/v2/spans against its published schema."""
import json, sys, yaml, jsonschema

given = json.load(sys.stdin)
api = yaml.safe_load(open(given["schema"]))
schema = {"$ref": "#/definitions/ListOfSpans", "definitions": api["definitions"]}
# Unknown names are spelling errors.
for name in ("Span", "Annotation", "Endpoint"):
    schema["definitions"][name]["additionalProperties"] = False
validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
json.dump([f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(given["spans"])], sys.stdout)
