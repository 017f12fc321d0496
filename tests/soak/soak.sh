#!/usr/bin/env bash
# soak.sh - the full counts of the fault tests, as `make soak` runs them: every black-box test file that uses
# SOAK of conftest.py, every tests/soak/*.py, and tests/interop/test_rolling.py. A test of tests/soak has the fixtures of tests/blackbox/conftest.py.
#   tests/soak/soak.sh BUILD_DIR [PYTEST_OPTION...]      (for one test: -k WORDS)
set -euo pipefail
build=$(cd "${1:?the build directory}" && pwd)
shift
cd "$(dirname "$0")/../.."
export MUSTER_SOAK=1 MUSTER_BUILD=$build MUSTERD=${MUSTERD:-$build/musterd/musterd} MUSTER_VARIANT=${MUSTER_VARIANT:-plain} PYTHONDONTWRITEBYTECODE=1
mapfile -t files < <(
	find tests/soak -name '*.py' ! -name conftest.py | sort
	grep -lE '\bSOAK\b' tests/blackbox/test_*.py || :
)
status=0
/usr/bin/python3 -m pytest -v -p no:cacheprovider -rs --tb=short "$@" "${files[@]}" || [ $? -eq 5 ] || status=1
# By itself: its fixtures are others. 5: -k has picked nothing.
/usr/bin/python3 -m pytest -v -p no:cacheprovider -rs --tb=short "$@" tests/interop/test_rolling.py || [ $? -eq 5 ] || status=1
exit $status
