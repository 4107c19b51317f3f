"""Is the candidate better than the base? One script to be read from top to bottom, over the library.

    python jobs/eval_compare.py --base builtin:smollm2-135m --candidate FOLDER --data builtin:tickets --limit 100

Run it with the Python of the environment `train`. It does what week 4 does, without a run directory:

    1. tasks       rows of a split: a prompt, the expected answer, a scorer
    2. answers     greedy; the same token ids for both models; kept answers are not generated again
    3. scores      one file of results for each model
    4. alignment   the two files are paired by item and prompt, never by order
    5. statistics  paired and aware of clusters, on the whole split and on each task
    6. verdict     improved, regressed, not distinguishable, underpowered

The two files are what `practicum compare BASE.jsonl CANDIDATE.jsonl` reads. Exit 0 if the candidate is better, 1 if it
is not or there are too few rows to tell, 2 or 3 where an option or the data is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT / part) for part in ("jobs/src", "platform/core/src", "platform/runtime/src")]

from practicum_core.atomic import write_text_atomic
from practicum_core.errors import DataError, PracticumError
from practicum_core.machine import get_cache_dir
from practicum_core.rows import Row
from practicum_core.stages.evaluate import EvaluationSample
from practicum_jobs.adapters.answer_engine import Prompt
from practicum_jobs.adapters.answers_transformers import TransformersAnswers
from practicum_jobs.datasets.readers import Defect
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.scoring.paired import PairedOutcomes, bootstrap_bca
from practicum_jobs.scoring.result_files import ItemResult, pair_results, read_results
from practicum_jobs.scoring.scorers import refuse_other_than_text, score_row
from practicum_jobs.scoring.verdicts import Rule, Verdict, VerdictKind, decide, decide_tasks
from practicum_jobs.storage.answers import Answer, hash_tokens, open_shared_store


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two models and print the verdicts; return the exit code."""
    options = parse_options(arguments)
    try:
        rows = load_tasks(options.data, options.split, options.limit)
        files = [options.out / f"{role}.jsonl" for role in ("base", "candidate")]
        for file, model in zip(files, (options.base, options.candidate), strict=True):
            write_results(file, rows, *answer_tasks(model, rows, options.max_new_tokens, options.batch_size))
        pairs = pair_results(*map(read_results, files))
        verdict = print_verdicts(pairs)
    except PracticumError as error:
        print(f"{error.reason}: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if verdict.kind is VerdictKind.IMPROVED else 1


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Is the candidate better than the base?")
    parser.add_argument("--base", required=True, metavar="MODEL", help="builtin:NAME, hf://OWNER/NAME or file://FOLDER")
    parser.add_argument("--candidate", required=True, metavar="MODEL")
    parser.add_argument("--data", default="builtin:tickets", metavar="URI", help="data set whose rows are answered")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, help="rows at most, the first ones")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="folder for the results")
    return parser.parse_args(arguments)


# --- 1. tasks ---------------------------------------------------------------------------------------------------------


def load_tasks(uri: str, split: str, limit: int | None) -> list[Row]:
    """Read rows: each says its prompt, its expected answer and, by its task or its own scorer, what counts as right."""
    rows: list[Row] = []
    for place in open_source(uri, get_cache_dir()).iter_split(split):
        if isinstance(place, Defect):
            raise DataError(str(place), "correct the line, or run `practicum audit` on the data")
        rows.append(place)
        if len(rows) == limit:
            break
    refuse_other_than_text(rows, "eval_compare.py")
    return rows


# --- 2. answers -------------------------------------------------------------------------------------------------------


def answer_tasks(uri: str, rows: Sequence[Row], max_new_tokens: int, batch_size: int) -> tuple[list[Answer], list[str]]:
    """Return a model's answers, and the hash of the token ids that it was given for each row."""
    model = ensure_model(uri, get_cache_dir())
    tokenizer = ChatTokenizer(model.path)
    prompts = [
        tokenizer.encode(tokenizer.render(row.messages, add_generation_prompt=True, tools=row.tools)) for row in rows
    ]
    engine = TransformersAnswers(model.path, None, max_new_tokens, batch_size)
    # What an answer depends on beside its prompt. Whatever is missing here would give a wrong answer from the cache.
    settings = {
        "model_sha256": model.build_lock().sha256,
        "engine": vars(engine.facts),
        "sampling": {"temperature": 0, "max_new_tokens": max_new_tokens},
    }
    store = open_shared_store(get_cache_dir(), settings)
    missing = [prompt for prompt in prompts if store.find(prompt) is None]
    print(f"{uri}: {len(missing)} answers to generate, {len(prompts) - len(missing)} kept from earlier")
    if missing:
        engine.load(max(map(len, missing)))
        for batch in engine.iter_answers([Prompt(ids, ()) for ids in missing]):
            for place, given in batch.items():
                is_shown = given.prompt_token_ids == missing[place]
                store.keep(missing[place], replace(given.answer, is_prompt_shown=is_shown))
        engine.close()
    answers = [found for prompt in prompts if (found := store.find(prompt)) is not None]
    return answers, [hash_tokens(prompt) for prompt in prompts]


# --- 3. scores --------------------------------------------------------------------------------------------------------


def write_results(file: Path, rows: Sequence[Row], answers: Sequence[Answer], prompt_hashes: Sequence[str]) -> None:
    """Score the answers and write one line for each."""
    lines = []
    for row, answer, prompt_sha256 in zip(rows, answers, prompt_hashes, strict=True):
        score = score_row(row, answer.text)
        sample = EvaluationSample(
            id=row.id,
            task=row.task,
            group=row.group,
            prompt=row.messages[-1].content,
            prompt_sha256=prompt_sha256,
            expected=row.answer,
            output=answer.text,
            correct=score.is_exact,
            score=score.value,
            failure=score.failure,
            finish="stop" if answer.is_stopped else "length",
        )
        lines.append(sample.model_dump_json(exclude_unset=True))
    write_text_atomic(file, "".join(f"{line}\n" for line in lines))


# --- 4. alignment: pair_results, by split, id and prompt --------------------------------------------------------------
# --- 5. statistics and 6. verdict -------------------------------------------------------------------------------------


def print_verdicts(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> Verdict:
    """Print the verdict on all items and on each task; return the first."""
    rule = Rule()
    whole = build_outcomes(pairs)
    verdict = decide(whole, rule)
    print_line("all", whole, verdict)
    names = sorted({base.task for base, _ in pairs})
    tasks = {name: build_outcomes([pair for pair in pairs if pair[0].task == name]) for name in names}
    # Several tasks are several chances to be wrong: their p-values are adjusted together, that of the whole is not.
    for name, found in decide_tasks(tasks, rule).items() if len(tasks) > 1 else ():
        print_line(name or "untyped", tasks[name], found)
    interval = bootstrap_bca(whole, rule.bootstrap)
    print(f"BCa bootstrap over {whole.num_clusters} clusters: {interval.low:+.3f} to {interval.high:+.3f}")
    return verdict


def build_outcomes(pairs: Sequence[tuple[ItemResult, ItemResult]]) -> PairedOutcomes:
    """Return the scores of both models; rows of one template are one cluster, since their outcomes go together."""
    return PairedOutcomes(
        [base.score for base, _ in pairs],
        [candidate.score for _, candidate in pairs],
        [base.cluster or f"item:{base.id}" for base, _ in pairs],
    )


def print_line(name: str, outcomes: PairedOutcomes, verdict: Verdict) -> None:
    """Print one verdict with the figures that decided it."""
    size = len(outcomes.base)
    print(
        f"{name}: {verdict.kind} ({size} items, base {sum(outcomes.base) / size:.3f}, "
        f"candidate {sum(outcomes.candidate) / size:.3f}, difference {verdict.interval.value:+.3f} "
        f"({verdict.interval.low:+.3f} to {verdict.interval.high:+.3f}), p {verdict.p_adjusted:.4f}, "
        f"smallest detectable {verdict.smallest_detectable:.3f})"
    )


if __name__ == "__main__":
    sys.exit(main())
