(function () {
  "use strict";
  var CHOICES = ["first", "tie", "second"];
  /* The other two arrows scroll long answers. */
  var KEYS = { "1": "first", ArrowLeft: "first", "2": "tie", "3": "second", ArrowRight: "second" };
  var payload = JSON.parse(document.getElementById("payload").textContent);
  var items = payload.items;
  var store = "practicum-blind:" + payload.key_sha256;
  var state = { rater: "", answers: {} };
  var place = 0;
  var isKept = true;
  var isDirty = false;

  function get(id) { return document.getElementById(id); }
  function show(name) {
    ["welcome", "rating", "done"].forEach(function (one) { get(one).hidden = one !== name; });
  }
  function countAnswers() {
    return items.filter(function (item) { return state.answers[item.id]; }).length;
  }
  function findOpen(from) {
    for (var step = 0; step < items.length; step += 1) {
      var index = (from + step) % items.length;
      if (!state.answers[items[index].id]) { return index; }
    }
    return -1;
  }

  /* Only what this page wrote itself is taken back: labels and choices of known items. */
  function readState(text) {
    var found;
    try { found = JSON.parse(text); } catch (error) { return null; }
    if (!found || found.key_sha256 !== payload.key_sha256 || typeof found.rater !== "string") { return null; }
    var answers = {};
    items.forEach(function (item) {
      var choice = Object.prototype.hasOwnProperty.call(found.answers || {}, item.id) ? found.answers[item.id] : "";
      if (CHOICES.indexOf(choice) >= 0) { answers[item.id] = choice; }
    });
    return { rater: found.rater.slice(0, 40), answers: answers };
  }
  function getLanguage() { return get("lang-zh").checked ? "zh" : "en"; }
  function writeRatings() {
    return JSON.stringify({
      kind: "practicum-blind-ratings",
      schema_version: 1,
      key_sha256: payload.key_sha256,
      items_sha256: payload.items_sha256,
      rater: state.rater,
      language: getLanguage(),
      answers: state.answers
    }, null, 1);
  }
  function keep() {
    try {
      localStorage.setItem(store, writeRatings());
      isKept = localStorage.getItem(store) !== null;
    } catch (error) { isKept = false; }
    isDirty = true;
    get("not-saved").hidden = isKept;
    get("kept").hidden = !isKept;
  }
  function recall() {
    try {
      var text = localStorage.getItem(store);
      return text ? readState(text) : null;
    } catch (error) { isKept = false; return null; }
  }

  function setBoth(node, en, zh) {
    node.textContent = "";
    [["en", "en", en], ["zh", "zh-Hans", zh]].forEach(function (one) {
      var span = document.createElement("span");
      span.className = one[0];
      span.lang = one[1];
      span.textContent = one[2];
      node.appendChild(span);
    });
  }
  function setAnswer(id, text) {
    var node = get(id);
    node.textContent = text;
    if (!text.trim()) { node.appendChild(get("empty-answer").content.cloneNode(true)); }
    node.scrollTop = 0;
  }
  function drawItem() {
    var item = items[place];
    setBoth(get("place"), "Pair " + (place + 1) + " of " + items.length, "第 " + (place + 1) + " 对，共 " + items.length + " 对");
    get("bar").value = countAnswers() / items.length;
    get("prompt").textContent = item.prompt;
    setAnswer("first", item.first);
    setAnswer("second", item.second);
    document.querySelectorAll("[data-choice]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(state.answers[item.id] === button.dataset.choice));
    });
    get("back").disabled = place === 0;
    get("next").disabled = !state.answers[item.id];
    show("rating");
    window.scrollTo(0, 0);
    get("place").focus({ preventScroll: true });
  }
  function drawDone() {
    show("done");
    get("copy").value = writeRatings();
    get("done-title").focus();
  }
  function drawWelcome() {
    var hasAnswers = countAnswers() > 0;
    get("rater").value = state.rater;
    get("start-new").hidden = hasAnswers;
    get("start-on").hidden = !hasAnswers;
    get("anew").hidden = !hasAnswers;
    askAnew(false);
    show("welcome");
  }
  function askAnew(isAsking) {
    get("anew-ask").hidden = isAsking;
    get("anew-sure").hidden = !isAsking;
  }

  function choose(choice) {
    state.answers[items[place].id] = choice;
    keep();
    goOn();
  }
  function goOn() {
    if (place < items.length - 1) { place += 1; drawItem(); return; }
    var open = findOpen(0);
    if (open < 0) { drawDone(); return; }
    place = open;
    drawItem();
  }
  function goBack() {
    if (place > 0) { place -= 1; drawItem(); }
  }
  function save() {
    var link = document.createElement("a");
    var label = state.rater.replace(/[^0-9A-Za-z_-]+/g, "-").slice(0, 40) || "rater";
    var url = URL.createObjectURL(new Blob([writeRatings() + "\n"], { type: "application/json" }));
    link.href = url;
    link.download = "ratings-" + label + ".json";
    document.body.appendChild(link);
    link.click();
    link.remove();
    setTimeout(function () { URL.revokeObjectURL(url); }, 10000);
    isDirty = false;
  }
  function start() {
    var rater = get("rater").value.trim();
    if (!rater) { get("rater").focus(); return; }
    state.rater = rater;
    keep();
    place = findOpen(0);
    if (place < 0) { place = items.length - 1; drawDone(); } else { drawItem(); }
  }

  get("start-form").addEventListener("submit", function (event) { event.preventDefault(); start(); });
  get("anew").addEventListener("click", function () {
    if (get("anew-sure").hidden) { askAnew(true); return; }
    state = { rater: "", answers: {} };
    try { localStorage.removeItem(store); } catch (error) { isKept = false; }
    drawWelcome();
    get("rater").focus();
  });
  get("load").addEventListener("change", function () {
    var file = get("load").files[0];
    if (!file) { return; }
    file.text().then(function (text) {
      var found = readState(text);
      get("load-failed").hidden = found !== null;
      if (found) { state = found; keep(); drawWelcome(); }
    });
  });
  document.querySelectorAll("[data-choice]").forEach(function (button) {
    button.addEventListener("click", function () { choose(button.dataset.choice); });
  });
  get("back").addEventListener("click", goBack);
  get("next").addEventListener("click", goOn);
  get("save").addEventListener("click", save);
  get("save-part").addEventListener("click", save);
  get("review").addEventListener("click", function () { place = 0; drawItem(); });
  document.addEventListener("keydown", function (event) {
    var isRadio = event.target.type === "radio";
    var isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName || "") && !isRadio;
    if (get("rating").hidden || isTyping || event.repeat || event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (isRadio && /^Arrow/.test(event.key)) { return; } /* they switch the language */
    if (KEYS[event.key]) { event.preventDefault(); choose(KEYS[event.key]); return; }
    if (event.key === "Backspace") { event.preventDefault(); goBack(); }
  });
  window.addEventListener("beforeunload", function (event) {
    if (!isKept && isDirty) { event.preventDefault(); }
  });

  var kept = recall();
  get("not-saved").hidden = isKept;
  get("kept").hidden = !isKept;
  if (kept) { state = kept; }
  drawWelcome();
})();
