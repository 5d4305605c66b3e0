"""What the running jobs of a local run say of themselves."""

import threading

from copylens.reporting.progress import watch


def test_a_watcher_hears_of_logs_that_grow_and_that_the_run_goes_on(tmp_path):
    (tmp_path / "list_scans").mkdir()
    (tmp_path / "list_scans" / "chest.log").write_text("done long ago\n")
    log = tmp_path / "train_model" / "chest" / "ldm" / "seed0.log"
    log.parent.mkdir(parents=True)
    said, stopped = [], threading.Event()

    def say(line):
        said.append(line)
        if len(said) == 1:
            log.write_text("step 250/3000\nstep 500/3000  loss 0.1\n")
        if len(said) == 3:
            stopped.set()

    watch(tmp_path, say, stopped, seconds=0.2)
    assert said[1] == "train_model chest/ldm/seed0: step 500/3000  loss 0.1"
    assert said[2].startswith("running for ")
