import assert from "node:assert/strict";
import { test } from "node:test";
import { emotionColour } from "../src/emotions";
import type { Theme } from "../src/theme";

/** Labels of the bundled recognisers: these stand beside each other. */
const LABELS = ["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"];
const PANEL: Record<Theme, string> = { light: "#ffffff", dark: "#191c22" };

type Triple = [number, number, number];

/** Colour blindness of full strength: Machado, Oliveira & Fernandes 2009, table 1, on linear RGB. */
const VISIONS: Record<string, Triple[]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

for (const theme of ["light", "dark"] as const) {
  test(`each colour has 3:1 against the ${theme} panel`, () => {
    for (const label of [...LABELS, "calm", "contempt", "excitement", "frustration", "unsure"]) {
      const ratio = contrast(linear(emotionColour(label, theme)), linear(PANEL[theme]));
      assert.ok(ratio >= 3, `${label}: ${ratio.toFixed(2)}`);
    }
  });

  for (const [vision, matrix] of Object.entries(VISIONS)) {
    test(`no two colours look alike: ${theme}, ${vision}`, () => {
      const seen = LABELS.map((label) => oklab(multiply(matrix, linear(emotionColour(label, theme)))));
      for (let i = 0; i < LABELS.length; i++) {
        for (let j = 0; j < i; j++) {
          // 0.02 is the difference that is just noticed side by side; these stand apart.
          assert.ok(distance(seen[i]!, seen[j]!) > 0.095, `${LABELS[i]} and ${LABELS[j]}`);
        }
      }
    });
  }
}

test("a label without a colour of its own gets the neutral one", () => {
  assert.equal(emotionColour("annoyed", "light"), emotionColour("unsure", "light"));
});

function linear(hex: string): Triple {
  return [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as Triple;
}

/** WCAG 2.2. */
function contrast(first: Triple, second: Triple): number {
  const [bright, dark] = [luminance(first), luminance(second)].sort((a, b) => b - a) as [number, number];
  return (bright + 0.05) / (dark + 0.05);
}

function luminance([r, g, b]: Triple): number {
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Ottosson 2020. */
function oklab(rgb: Triple): Triple {
  const clipped = rgb.map((value) => Math.max(0, Math.min(1, value))) as Triple;
  const lms = multiply(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    clipped,
  ).map(Math.cbrt) as Triple;
  return multiply(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766],
    ],
    lms,
  );
}

function multiply(matrix: Triple[], vector: Triple): Triple {
  return matrix.map((row) => row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]) as Triple;
}

function distance(first: Triple, second: Triple): number {
  return Math.hypot(...first.map((value, index) => value - second[index]!));
}
