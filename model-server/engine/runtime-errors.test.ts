import { expect, test } from "vitest";

import { errorOfRun } from "./runtime-errors.ts";

const FAILED = "Non-zero status code returned while running Div node. Name:'' Status Message: ";
const CODE = "/onnxruntime_src/onnxruntime/core/providers/cpu/math";

test.each([
  [
    "a file without its path, and a function",
    "element_wise_ops.cc:692 Compute Integer division by zero",
    "Integer division by zero",
  ],
  [
    "a file without its path, and an operator",
    "element_wise_ops.cc:2256 operator() Integer modulo by zero",
    "Integer modulo by zero",
  ],
  [
    "a file's path, and a function with its types",
    `${CODE}/reshape_helper.h:47 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape &, onnxruntime::TensorShapeVector &, bool) input_shape_size == size was false.`,
    "input_shape_size == size was false.",
  ],
  [
    "a path, and a function of a template",
    `${CODE}/gemm.cc:47 virtual onnxruntime::common::Status onnxruntime::Gemm<T>::Compute(onnxruntime::OpKernelContext*) const [with T = float] shapes differ`,
    "shapes differ",
  ],
  ["a path without a line", `see ${CODE}/gemm.cc for more`, "see for more"],
  [
    "a function alone",
    "onnxruntime::common::Status onnxruntime::Div::Compute(onnxruntime::OpKernelContext*) const failed",
    "failed",
  ],
  ["a file of CUDA", "gather_impl.cu:12 ~Guard indices are wrong", "indices are wrong"],
])("a run's error leaves out %s", (_, said, left) => {
  expect(errorOfRun(`${FAILED}${said}`).message).toBe(
    `the model rejects this input: ${FAILED}${left}`,
  );
});

test.each(["x.h:1a must be 2", "invalid input y.cc", "3.5:7 is no ratio"])(
  "a run's error keeps what is no place of the sources: %s",
  (said) => {
    expect(errorOfRun(said).message).toBe(`the model rejects this input: ${said}`);
  },
);

test("a run's error with long text of the client is short, and made at once", () => {
  const { message } = errorOfRun(`cannot parse ${"a".repeat(1_000_000)}`);
  expect(message).toMatch(/^the model rejects this input: cannot parse a+$/);
  expect(message.length).toBeLessThan(600);
});
