"use strict";
// Shows the errors of the chosen true and predicted class, and says how many they are.
const errors = [...document.querySelectorAll("#errors article")];
const truth = document.getElementById("truth");
const predicted = document.getElementById("predicted");
function filter() {
  let count = 0;
  for (const error of errors) {
    const fits = [[truth, error.dataset.truth], [predicted, error.dataset.predicted]];
    error.hidden = !fits.every(([chosen, value]) => chosen.value === "" || chosen.value === value);
    count += !error.hidden;
    if (error.hidden) error.querySelector("audio")?.pause();
  }
  document.getElementById("count").textContent = `${count} of ${errors.length} shown`;
}
truth.addEventListener("change", filter);
predicted.addEventListener("change", filter);
document.getElementById("filters").hidden = false;
filter();
