"""The scheduler of the tests' own engine: a queue, a batch and a KV cache of blocks, by vLLM's rules. Pure.

As in vLLM's scheduler, running requests come first, then waiting ones in their order, each step within a budget of
tokens; a prompt longer than the budget is computed in chunks. Where no block is free, the request that started last
gives up its blocks, waits before all others and is computed again from its start.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass
class Settings:
    """How large and how fast the engine is. Times are in seconds.

    Attributes:
        step_s: A step takes this, whatever it computes.
        step_s_per_request: And this for each request in it.
        prefill_s_per_token: And this for each token of prompts, or of what is computed again.
        context_s_per_token: And this for each token in the KV cache that the step reads.
        max_running: Requests in one step (vLLM's max_num_seqs).
        max_step_tokens: Tokens of one step (vLLM's max_num_batched_tokens).
        kv_tokens: Size of the KV cache.
        block_tokens: Tokens of one block of it.
        max_waiting: Requests in the queue; ``None`` is without a bound, as in vLLM.
        max_model_tokens: A prompt with its answer.
        has_prefix_cache: Whether blocks of earlier prompts need no computation.
        slow_first_token_s: What the fault ``slow`` adds.
        api_key: What requests must carry; empty for none.
    """

    step_s: float = 0.001
    step_s_per_request: float = 0.0
    prefill_s_per_token: float = 0.0
    context_s_per_token: float = 0.0
    max_running: int = 64
    max_step_tokens: int = 2048
    kv_tokens: int = 100_000
    block_tokens: int = 16
    max_waiting: int | None = None
    max_model_tokens: int = 4096
    has_prefix_cache: bool = False
    slow_first_token_s: float = 1.0
    api_key: str = ""


@dataclass(eq=False)
class Job:
    """One request. ``prefix`` holds the names of its prompt's whole blocks."""

    prompt_tokens: int
    max_tokens: int
    prefix: tuple[int, ...] = ()
    queue: asyncio.Queue = field(default_factory=asyncio.Queue)
    num_tokens: int = 0
    num_computed: int = 0
    num_cached: int = 0
    num_blocks: int = 0
    num_preemptions: int = 0
    arrived_s: float = 0.0
    scheduled_s: float | None = None
    last_token_s: float | None = None
    first_token_s: float | None = None

    @property
    def num_pending(self) -> int:
        return self.prompt_tokens + self.num_tokens - self.num_computed


@dataclass
class Step:
    """What one step computes: tokens of each request, how many of them belong to prompts, and how long it takes."""

    tokens: dict[Job, int] = field(default_factory=dict)
    num_preempted: int = 0
    num_prefill_tokens: int = 0
    duration_s: float = 0.0

    def measure(self, settings: Settings) -> None:
        """Set what follows from the tokens; called before they are computed."""
        self.num_prefill_tokens = sum(
            count for job, count in self.tokens.items() if job.num_pending > 1 or not job.num_tokens
        )
        self.duration_s = (
            settings.step_s
            + settings.step_s_per_request * len(self.tokens)
            + settings.prefill_s_per_token * self.num_prefill_tokens
            + settings.context_s_per_token * sum(job.num_computed for job in self.tokens)
        )


class Scheduler:
    """The queue, the batch and the KV cache.

    Attributes:
        waiting: The queue, the next one first.
        running: The batch, in the order of their start.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self._cached_blocks: OrderedDict[int, None] = OrderedDict()

    @property
    def num_blocks(self) -> int:
        return max(self.settings.kv_tokens // self.settings.block_tokens, 1)

    @property
    def num_used_blocks(self) -> int:
        return sum(job.num_blocks for job in self.running)

    def plan_step(self) -> Step | None:
        """Choose what the next step computes; ``None`` where there is nothing to compute."""
        step = Step()
        budget = self._continue_running(step)
        if not step.num_preempted:
            self._admit(step, budget)
        step.measure(self.settings)
        return step if step.tokens else None

    def finish_step(self, step: Step) -> list[Job]:
        """Count what was computed; return the requests that gained a token."""
        gained = []
        for job, count in step.tokens.items():
            if job in self.running:  # not where its client went away meanwhile
                job.num_computed += count
                if not job.num_pending:
                    job.num_tokens += 1
                    gained.append(job)
        return gained

    def remove(self, job: Job) -> bool:
        """Forget a request; return whether it was known."""
        for jobs in (self.waiting, self.running):
            if job in jobs:
                jobs.remove(job)
                self._remember_prefix(job)
                return True
        return False

    def _continue_running(self, step: Step) -> int:
        budget = self.settings.max_step_tokens
        index = 0
        while index < len(self.running) and budget > 0:
            job = self.running[index]
            count = min(job.num_pending, budget)
            while not self._allocate(job, count):
                victim = self.running.pop()
                budget += step.tokens.pop(victim, 0)
                self._preempt(victim)
                step.num_preempted += 1
                if victim is job:
                    return budget
            step.tokens[job] = count
            budget -= count
            index += 1
        return budget

    def _admit(self, step: Step, budget: int) -> None:
        while self.waiting and len(self.running) < self.settings.max_running and budget > 0:
            job = self.waiting[0]
            job.num_computed = job.num_cached = self._count_cached(job)
            # A prompt is admitted only where all of it fits (vLLM's scheduler_reserve_full_isl).
            is_free = self._count_blocks(job.num_computed + job.num_pending) <= self.num_blocks - self.num_used_blocks
            if self.running and not is_free:
                return
            self.running.append(self.waiting.pop(0))
            count = min(job.num_pending, budget)
            self._allocate(job, count)
            step.tokens[job] = count
            budget -= count

    def _allocate(self, job: Job, count: int) -> bool:
        needed = self._count_blocks(job.num_computed + count)
        is_free = self.num_used_blocks - job.num_blocks + needed <= self.num_blocks
        # vLLM does not start with a cache that is smaller than one longest request; here that one goes on.
        if is_free or len(self.running) == 1:
            job.num_blocks = max(job.num_blocks, needed)
            return True
        return False

    def _preempt(self, job: Job) -> None:
        job.num_computed = job.num_blocks = 0
        job.num_preemptions += 1
        self.waiting.insert(0, job)

    def _count_blocks(self, tokens: int) -> int:
        return -(-tokens // self.settings.block_tokens)

    def _count_cached(self, job: Job) -> int:
        if not self.settings.has_prefix_cache:
            return 0
        num_known = 0
        for block in job.prefix:
            if block not in self._cached_blocks:
                break
            num_known += 1
        # The last token of a prompt is always computed: its logits give the first token of the answer.
        return min(num_known * self.settings.block_tokens, job.prompt_tokens - 1)

    def _remember_prefix(self, job: Job) -> None:
        if self.settings.has_prefix_cache and job.num_computed >= job.prompt_tokens:
            for block in job.prefix:
                self._cached_blocks[block] = None
                self._cached_blocks.move_to_end(block)
            while len(self._cached_blocks) > self.num_blocks:
                self._cached_blocks.popitem(last=False)
