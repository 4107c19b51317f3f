(function () {
  "use strict";
  var wanted = location.hash === "#zh" ? "zh" : location.hash === "#en" ? "en" : "";
  if (!wanted && /^zh/i.test(navigator.language || "")) { wanted = "zh"; }
  var box = wanted && document.getElementById("lang-" + wanted);
  if (box) { box.checked = true; }
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });
})();
