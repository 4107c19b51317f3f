"""The knowledge base of the tickets: what it answers, what it leaves unanswered, and a broken one."""

from __future__ import annotations

import json

import pytest

from practicum_core.errors import DataError
from practicum_gateway.knowledge import BUILTIN, StoredAnswers, read_articles
from practicum_gateway.retrieval import Floor, Retriever
from practicum_jobs.datasets.phrases import CATEGORIES
from practicum_jobs.datasets.tickets import TicketOptions, build_rows


@pytest.fixture(scope="module")
def articles():
    return read_articles("builtin:tickets")


@pytest.fixture(scope="module")
def retriever(articles):
    return Retriever(articles)


def test_the_knowledge_base_covers_every_category_of_the_tickets_in_both_languages(articles):
    assert {(one.category, one.language) for one in articles} == {
        (category, language) for category in CATEGORIES for language in ("en", "zh")
    }
    assert len({one.id for one in articles}) == len(articles)


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("How long does a refund take?", "refund-time"),
        ("I can't log in any more", "account-password"),
        ("请问商品的保修期多长", "warranty-zh"),
        ("订单还没有收到，怎么办", "delivery-late-zh"),
    ],
)
def test_a_question_gets_a_sentence_with_its_source(retriever, question, source):
    extract = retriever.extract(question, Floor())
    assert extract is not None
    assert extract.hit.article.id == source
    assert extract.sentence in extract.hit.article.text
    assert extract.text.endswith(f"[{source}: {extract.hit.article.title}]")


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "Write a poem about the sea", "今天天气怎么样", "", "?!"]
)
def test_it_abstains_from_what_it_does_not_know(retriever, question):
    assert retriever.extract(question, Floor()) is None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_of_the_tickets_that_it_answers_most_are_of_the_articles_category(retriever, language):
    tickets = [row for row in build_rows(TicketOptions(language=language), "test") if row.task == "extract"]
    found = [
        (retriever.extract(row.messages[-1].content, Floor()), json.loads(row.answer)["category"]) for row in tickets
    ]
    answered = [(extract, category) for extract, category in found if extract is not None]
    assert len(answered) >= 0.25 * len(tickets)
    right = [extract.hit.article.category == category for extract, category in answered]
    assert sum(right) >= 0.6 * len(answered)


def test_a_stored_answer_needs_the_same_words_whatever_the_case_and_signs(articles):
    stored = StoredAnswers(articles)
    assert stored.find("how LONG does a refund take").id == "refund-time"
    assert stored.find(" 退款多久到账 ").id == "refund-time-zh"
    assert stored.find("How long does a refund last?") is None
    assert len(stored) == sum(len(one.questions) for one in articles)


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"id": "a"}', '{"id": 1, "language": "en", "title": "t", "text": "x"}']
)
def test_a_broken_knowledge_base_is_named_with_its_line(tmp_path, line):
    path = tmp_path / "articles.jsonl"
    path.write_text(BUILTIN["builtin:tickets"].read_text(encoding="utf-8").splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(DataError, match="line 2"):
        read_articles(str(path))


def test_an_empty_or_missing_knowledge_base_is_named(tmp_path):
    (tmp_path / "empty").write_text("\n")
    for path in ("empty", "missing"):
        with pytest.raises(DataError, match=path):
            read_articles(str(tmp_path / path))
