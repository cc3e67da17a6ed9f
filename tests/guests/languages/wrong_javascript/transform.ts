// Does what authors should not, by the row.

import { float64, integer, RowError, string, transform } from "tandem-sdk";

interface Later {
  name: string;
}

export default transform(
  { inputs: { how: string(), n: integer() }, outputs: { y: float64() }, parameters: { least: float64("Least value.").nullable() } },
  ({ how, n }): { y: number } => {
    switch (how) {
      case "fails":
        throw new RowError("must not be so", "how");
      case "throws":
        return { y: (JSON.parse("null") as Later).name.length };
      case "throws text":
        throw "text";
      case "wrong type":
        return { y: String(n) as unknown as number };
      case "no return":
        return undefined as never;
      case "another name":
        return { y: 1, z: 2 } as { y: number };
      case "clock":
        return { y: Date.now() };
      case "chance":
        return { y: Math.random() };
      case "long":
        throw new Error("long ".repeat(1000));
      case "deep":
        return { y: ((depth: number): number => deeper(depth))(n) };
      default:
        return { y: n };
    }
  },
);

function deeper(depth: number): number {
  return depth < 0 ? 0 : deeper(depth + 1) + 1;
}
