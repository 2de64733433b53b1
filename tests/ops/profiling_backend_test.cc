#include "backend/profiling/profiling_backend.h"

#include "backend/cpu/cpu_backend.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

// A run on a CPU backend that is profiled.
struct Profiled {
  std::unique_ptr<Backend> device = CreateCpuBackend();
  std::unique_ptr<ProfilingBackend> owned = std::make_unique<ProfilingBackend>(*device);
  ProfilingBackend& backend = *owned;
  TestRun run{std::move(owned)};

  OperationProfile Only() const {
    const std::vector<OperationProfile> operations = backend.profile().Operations();
    EXPECT_EQ(operations.size(), 1);
    return operations.at(0);
  }
};

TEST(ProfilingBackend, CountsAProduct) {
  Profiled profiled;
  RandomStream random(1);
  const TestTensor a = RandomTensor(random, DType::kF32, {5, 7});
  const TestPacked b(profiled.run, RandomTensor(random, DType::kF32, {11, 7}), DType::kF32);
  const TestTensor c(DType::kF32, {5, 11}), same(DType::kF32, {5, 11});
  profiled.backend.profile().Clear();  // of the packing

  const MatmulProblem problem{a, b.get(), c};
  profiled.backend.Matmul(profiled.run.context(), std::span(&problem, 1));
  profiled.backend.Matmul(profiled.run.context(), std::span(&problem, 1));
  const OperationProfile operation = profiled.Only();
  EXPECT_EQ(operation.name, "Matmul");
  EXPECT_EQ(operation.shape, "7 -> 11");
  EXPECT_EQ(operation.calls, 2);
  EXPECT_EQ(operation.flops, 2 * (2 * 5 * 7 * 11));
  EXPECT_EQ(operation.bytes, 2 * (4 * (5 * 7 + 5 * 11) + static_cast<double>(b.get()->bytes)));
  EXPECT_GT(operation.seconds, 0);

  // It is the device that computes.
  const MatmulProblem direct{a, b.get(), same};
  profiled.device->Matmul(profiled.run.context(), std::span(&direct, 1));
  ExpectSameBits(c, same);
}

TEST(ProfilingBackend, CountsThePairsThatAttentionSees) {
  Profiled profiled;
  RandomStream random(2);
  // Three queries at positions 2, 3 and 4 see 3 + 4 + 5 keys; one at position 0 sees one.
  const TestTensor keys = RandomTensor(random, DType::kF32, {5, 1, 6});
  const KeyBlock block{keys, keys.Columns(0, 4)};
  const AttentionSequence sequences[] = {{0, 3, 2, std::span(&block, 1)},
                                         {3, 1, 0, std::span(&block, 1)}};
  const TestTensor q = RandomTensor(random, DType::kF32, {4, 2, 6});
  const TestTensor out(DType::kF32, {4, 2, 4});
  profiled.backend.Attention(profiled.run.context(), q, sequences, 1, out, Tensor());
  const OperationProfile operation = profiled.Only();
  EXPECT_EQ(operation.shape, "2 heads, 6 | 4");
  EXPECT_EQ(operation.flops, 13 * 2 /* heads */ * 2 * (6 + 4));
  // The values are a view of the keys: they are read once a sequence.
  EXPECT_EQ(operation.bytes, 4 * (4 * 2 * 6 + 4 * 2 * 4 + 2 * 5 * 6));
}

TEST(ProfilingBackend, RecordsOnlyWhenAsked) {
  Profiled profiled;
  profiled.backend.set_recording(false);
  const TestTensor y(DType::kF32, {8});
  profiled.backend.Zero(profiled.run.context(), y);
  EXPECT_TRUE(profiled.backend.profile().Operations().empty());
  profiled.backend.set_recording(true);
  profiled.backend.Zero(profiled.run.context(), y);
  EXPECT_EQ(profiled.Only().calls, 1);
}

TEST(Profile, TableAddsUpToAStep) {
  Profile profile;
  profile.Add("Matmul", "512 -> 1536", 3, 6e9, 1e9);
  profile.Add("Matmul", "512 -> 1536", 3, 6e9, 1e9);
  profile.Add("SwiGlu", "", 2, 0, 4e9);
  // Two steps of 5 seconds, of which 2 went by outside operations.
  const std::string table = profile.ToTable(10, 2, 4e9);
  EXPECT_NE(table.find("Matmul                 512 -> 1536                       1    3000.00   "
                       "60.0%       2.0    50%     0.3\n"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("SwiGlu"), std::string::npos);
  EXPECT_NE(table.find("1000.00   20.0%\n"), std::string::npos) << table;  // outside operations
  EXPECT_LT(table.find("Matmul"), table.find("SwiGlu"));
  EXPECT_NE(table.find("5000.00\n"), std::string::npos) << table;
}

}  // namespace
}  // namespace fathom::test
