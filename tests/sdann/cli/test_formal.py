"""`sdann formal`, and the same as `python -m sim.formal`."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import sim.formal.proofs
from sdann.cli.formal import formal_command
from sim.formal.proofs import PROOFS


def run(capfd, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        formal_command(list(arguments), prog_name="formal")
    return int(end.value.code or 0), *capfd.readouterr()


def test_a_table_of_what_holds(capfd):
    code, out, _ = run(capfd, "generation", "arbiter_*")
    assert code == 0
    assert "4 of 4 proofs hold" in out
    row = next(line for line in out.splitlines() if line.split()[:1] == ["arbiter_5"])
    assert " induction " in row and row.split()[-1] == "yes"


def test_a_proof_that_fails(capfd, monkeypatch):
    wrong = [replace(proof, method="bounded", depth=3) for proof in PROOFS if proof.name == "arbiter_2"]
    wrong = [replace(proof, make=lambda make=proof.make: _denies(make())) for proof in wrong]
    monkeypatch.setattr(sim.formal.proofs, "PROOFS", tuple(wrong))
    code, out, err = run(capfd, "--json")
    assert code == 1 and "Failed: arbiter_2 does not hold: never_served" in err
    found = json.loads(out)
    assert found["ok"] is False
    assert [entry["violated"] for entry in found["proofs"]] == [["never_served"]]
    code, out, _ = run(capfd)
    assert code == 1 and "0 of 1 proofs hold" in out and " NO" in out


def _denies(harness):
    """Claims that nobody is ever served."""
    original = harness.statements

    def statements(m):
        original(m)
        harness.claim(m, "never_served", ~(harness.advance & harness.request.any()))

    harness.statements = statements
    return harness


def test_an_unknown_name_is_bad_input(capfd):
    code, _, err = run(capfd, "rooter")
    assert code == 2 and "no proof is called 'rooter'" in err


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "sim.formal", "--json", "generation"], capture_output=True, text=True, check=True
    )
    (found,) = json.loads(done.stdout)["proofs"]
    assert found["name"] == "generation" and found["holds"] is True
