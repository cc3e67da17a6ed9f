// Features of a line of an order, in TypeScript. What it computes is written down in the README beside this folder.

import { boolean, float32Vector, float64, int64, RowError, string, transform } from "tandem-sdk";

const WIDTH = 4;

export default transform(
  {
    doc: "Features of a line of an order.",
    inputs: {
      order_id: int64("Number of the order."),
      price: string("Price of one piece, as text."),
      quantity: int64("Pieces."),
      discount: float64("Share that is taken off; null where there is none.").nullable(),
      title: string("Title of the article.").nullable(),
      embedding: float32Vector(WIDTH, "Embedding of the article.").nullable(),
    },
    outputs: {
      net: float64("What is to be paid."),
      is_large: boolean("Whether that is much."),
      bucket: int64("Order number modulo 1000."),
      title_length: int64("Characters of the title.").nullable(),
      slug: string("The title in ASCII letters, digits and dashes.").nullable(),
      norm: float64("Length of the embedding.").nullable(),
      unit: float32Vector(WIDTH, "The embedding with length 1; null where it has none.").nullable(),
    },
    parameters: { large: float64("What is to be paid from which on it is much.").nullable() },
  },
  (row, settings) => {
    if (!/^-?[0-9]{1,12}(\.[0-9]{1,6})?$/.test(row.price)) {
      throw new RowError("not a number", "price");
    }
    if (row.quantity < 0n) {
      throw new RowError("must not be negative", "quantity");
    }
    const net = Number(row.price) * Number(row.quantity) * (1 - (row.discount ?? 0));
    const length = row.embedding === null ? null : norm(row.embedding);
    return {
      net,
      is_large: net >= (settings.large ?? 100),
      // `%` has the sign of the dividend.
      bucket: ((row.order_id % 1000n) + 1000n) % 1000n,
      title_length: row.title === null ? null : [...row.title].length,
      slug: row.title === null ? null : slug(row.title),
      norm: length,
      unit: row.embedding === null || length === null || length === 0 ? null : row.embedding.map((value) => value / length),
    };
  },
);

export function slug(title: string): string {
  const lower = title.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return (lower.match(/[a-z0-9]+/g) ?? []).join("-");
}

/** Squares are added one after another. */
export function norm(vector: Iterable<number>): number {
  let squares = 0;
  for (const value of vector) {
    squares += value * value;
  }
  return Math.sqrt(squares);
}
