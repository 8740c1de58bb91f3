#!/usr/bin/env python3
"""Runs every query of the dashboards against a Prometheus and names the panels that stay empty.

    scripts/check-dashboards.py [--window START,END …] [--skip TEXT …] http://127.0.0.1:9090 [DASHBOARD.json …]

Variables are set to everything. A query has to give a number in one of the windows (seconds since 1970; the last hour where none is
given). What a query ends with for the case that nothing happened, "or vector(0)" or "or label_replace(vector(0), …)", is taken off
first, so that it does not count. Exit code 1 where a query fails or gives nothing.
"""

import argparse
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent.parent
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$pbx": ".*", "$site": ".*"}
OTHERWISE = re.compile(r" or (vector\(0\)|label_replace\(vector\(0\)(, \"[^\"]*\"){4}\))$")
LABEL_VALUES = re.compile(r"^label_values\((?P<metric>.+), (?P<label>\w+)\)$")
# Points of a window.
POINTS = 240


class Prometheus:
    """What answers queries."""

    def __init__(self, url, windows):
        self.url, self.windows = url.rstrip("/"), windows

    def get(self, page, **query):
        """The data of an answer. Raises ValueError with what Prometheus says is wrong."""
        pairs = [("match[]" if key == "match__" else key, value) for key, value in query.items()]
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{page}?{urllib.parse.urlencode(pairs)}", timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def has_numbers(self, expression):
        """Whether a query gives a number at some time of a window."""
        for start, end in self.windows:
            series = self.get("query_range", query=expression, start=start, end=end, step=max(1, (end - start) / POINTS))["result"]
            if any(value != "NaN" for one in series for _, value in one["values"]):
                return True
        return False

    def has_label(self, metric, label):
        """Whether a series has a label."""
        return any(self.get(f"label/{label}/values", match__=metric, start=start, end=end) for start, end in self.windows)


def substituted(text):
    """The text with the variables set to everything."""
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


def queries(dashboard):
    """Where each query stands, and the query."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r}, query {target['refId']}", substituted(target["expr"])


def check(prometheus, expression):
    """What is wrong with a query, if anything."""
    try:
        # As it is shown, it must be valid too.
        prometheus.get("query", query=expression)
        return None if prometheus.has_numbers(OTHERWISE.sub("", expression)) else "gives nothing"
    except ValueError as error:
        return str(error)


def check_variables(prometheus, dashboard):
    """What is wrong with the variables."""
    for variable in dashboard["templating"]["list"]:
        match = LABEL_VALUES.match(substituted(variable["query"]["query"])) if variable["type"] == "query" else None
        if match and not prometheus.get("labels", match__=match["metric"], start=0, end=time.time() + 60).count(match["label"]):
            yield f"variable {variable['name']}", match.group(), "gives nothing"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--window", action="append", default=[], help="START,END in seconds since 1970")
    parser.add_argument("--skip", action="append", default=[], help="leave out queries with this text, such as a metric that is not switched on")
    parser.add_argument("url", help="the Prometheus")
    parser.add_argument("dashboards", nargs="*", type=pathlib.Path, help="those of deploy/grafana where none is given")
    arguments = parser.parse_args()
    windows = [tuple(float(end) for end in window.split(",")) for window in arguments.window] or [(time.time() - 3600, time.time())]
    prometheus = Prometheus(arguments.url, windows)
    asked = failed = skipped = 0
    for path in arguments.dashboards or sorted((HERE / "deploy/grafana").glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        problems = list(check_variables(prometheus, dashboard))
        for place, expression in queries(dashboard):
            if any(text in expression for text in arguments.skip):
                skipped += 1
                continue
            asked += 1
            problem = check(prometheus, expression)
            problems += [(place, expression, problem)] if problem else []
        problems = [problem for problem in problems if not any(text in problem[1] for text in arguments.skip)]
        for place, expression, problem in problems:
            print(f"{path.name}, {place}: {problem}\n    {expression}")
        failed += len(problems)
    print(f"{asked} queries, {failed} of them empty or wrong, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
