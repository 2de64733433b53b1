// The reference computes in double whatever the types, and rounds once when it stores: on inputs
// that bf16 holds exactly, a bf16 result is the rounded f64 result, bit for bit.

#include "backend/reference/reference_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

constexpr DType kF64 = DType::kF64;

class ReferenceTypes : public ::testing::TestWithParam<DType> {
 protected:
  const DType dtype_ = GetParam();

  // The same random values, which bf16 holds, as f64 and in the type under test.
  struct Input {
    TestTensor wide, narrow;
  };
  Input Random(const Shape& shape) {
    const TestTensor values = RandomTensor(random_, DType::kBF16, shape);
    return {CopyAs(kF64, values), CopyAs(dtype_, values, /*padding=*/3)};
  }
  // An output in both types; garbage until it is written.
  Input Output(const Shape& shape) { return Random(shape); }
  void ExpectRounded(const Input& output) {
    ExpectSameBits(output.narrow, CopyAs(dtype_, output.wide));
    output.narrow.ExpectSurroundingsUntouched();
  }

  RandomStream random_{13};
  TestRun run_{CreateReferenceBackend()};
  Context& context_ = run_.context();
};

TEST_P(ReferenceTypes, RmsNorm) {
  const Input x = Random({5, 9}), gain = Random({9}), y = Output({5, 9});
  run_->RmsNorm(context_, x.wide, gain.wide, 1e-6, y.wide, {});
  run_->RmsNorm(context_, x.narrow, gain.narrow, 1e-6, y.narrow, {});
  ExpectRounded(y);
}

TEST_P(ReferenceTypes, Matmul) {
  const Input a = Random({4, 33}), b = Random({7, 33}), c = Output({4, 7});
  for (const bool accumulate : {false, true}) {
    const TestPacked wide(run_, b.wide, kF64), narrow(run_, b.narrow, dtype_);
    run_->Matmul(context_,
                 std::vector<MatmulProblem>{{a.wide, wide.get(), c.wide, accumulate},
                                            {a.narrow, narrow.get(), c.narrow, accumulate}});
    ExpectRounded(c);
    run_->Cast(context_, c.narrow, c.wide);
  }
}

TEST_P(ReferenceTypes, AttentionForwardAndBackward) {
  const Input q = Random({6, 4, 5}), keys = Random({6, 2, 5}), values = Random({6, 2, 3});
  const Input out = Output({6, 4, 3}), dout = Random({6, 4, 3});
  const Input dq = Output({6, 4, 5}), dk = Output({6, 2, 5}), dv = Output({6, 2, 3});
  const TestTensor lse(kF64, {6, 4});
  const KeyBlock wide_block{keys.wide, values.wide}, narrow_block{keys.narrow, values.narrow};
  const AttentionSequence wide{0, 6, 0, std::span(&wide_block, 1)};
  const AttentionSequence narrow{0, 6, 0, std::span(&narrow_block, 1)};
  run_->Attention(context_, q.narrow, std::span(&narrow, 1), 0.4, out.narrow, lse);
  run_->Attention(context_, q.wide, std::span(&wide, 1), 0.4, out.wide, lse);
  ExpectRounded(out);

  run_->Cast(context_, out.narrow, out.wide);  // backward reads the rounded output
  run_->AttentionBackward(context_, dout.wide, q.wide, std::span(&wide, 1), 0.4, out.wide, lse,
                          dq.wide, dk.wide, dv.wide);
  run_->AttentionBackward(context_, dout.narrow, q.narrow, std::span(&narrow, 1), 0.4, out.narrow,
                          lse, dq.narrow, dk.narrow, dv.narrow);
  ExpectRounded(dq);
  ExpectRounded(dk);
  ExpectRounded(dv);
}

TEST_P(ReferenceTypes, RopeAndSwiGlu) {
  const Input x = Random({4, 3, 6}), y = Output({4, 3, 6});
  const TestTensor table(kF64, {4, 6});
  run_->RopeTable(context_, TensorOf(DType::kI32, {4}, {0, 5, 9, 1000}),
                  std::vector<double>{1, 0.1, 0.01}, 1, table);
  run_->Rope(context_, x.wide, table, RopeLayout::kInterleaved, false, y.wide);
  run_->Rope(context_, x.narrow, table, RopeLayout::kInterleaved, false, y.narrow);
  ExpectRounded(y);

  const Input gate_up = Random({5, 14}), activated = Output({5, 7}), dy = Random({5, 7});
  const Input dgate_up = Output({5, 14});
  run_->SwiGlu(context_, gate_up.wide, activated.wide);
  run_->SwiGlu(context_, gate_up.narrow, activated.narrow);
  ExpectRounded(activated);
  run_->SwiGluBackward(context_, dy.wide, gate_up.wide, {}, dgate_up.wide, activated.wide, {});
  run_->SwiGluBackward(context_, dy.narrow, gate_up.narrow, {}, dgate_up.narrow, activated.narrow,
                       {});
  ExpectRounded(dgate_up);
  ExpectRounded(activated);
}

INSTANTIATE_TEST_SUITE_P(Types, ReferenceTypes, ::testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& param) { return std::string(Name(param.param)); });

}  // namespace
}  // namespace fathom::test
