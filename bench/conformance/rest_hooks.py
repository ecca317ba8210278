"""What a schema can't say of a request."""

import schemathesis


@schemathesis.hook
def map_query(context, query):
    """A cursor comes from an answer, and is not made up; `around` goes alone."""
    if not query:
        return query
    query = {key: value for key, value in query.items() if key != "cursor"}
    if "around" in query:
        query = {key: value for key, value in query.items() if key not in ("before", "after")}
    return query
