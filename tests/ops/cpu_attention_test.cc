#include "ops/cpu_test.h"

namespace fathom::test {
namespace {

FATHOM_FOR_CPU_TARGETS(CpuAttention);

struct Form {
  int64_t heads, kv_heads, d_qk, d_v;
  bool latent;  // the values are the first columns of the keys
};
constexpr Form kForms[] = {{4, 4, 48, 32, false},  // latent attention, expanded (nano)
                           {4, 1, 80, 64, true},   // ... absorbed
                           {17, 1, 96, 64, true},  // ... of heads that need two strips
                           {12, 1, 98, 64, true},  // ... whose keys one query reads where they lie
                           {6, 2, 13, 17, false},  // grouped queries, odd sizes
                           {130, 1, 9, 5, true}};

// One sequence's cache, cut into blocks of some sizes. Rows past `used` hold NaN.
struct Cache {
  std::vector<TestTensor> keys, values;
  std::vector<KeyBlock> blocks;
};

class Case {
 public:
  Case(RandomStream& random, const Form& form, DType type, int64_t positions)
      : form_(form),
        keys_(RandomTensor(random, type, {positions, form.kv_heads, form.d_qk})),
        values_(form.latent ? TestTensor()
                            : RandomTensor(random, type, {positions, form.kv_heads, form.d_v})),
        q_(RandomTensor(random, type, {positions, form.heads, form.d_qk}, 1, 3)),
        scale_(1.0 / std::sqrt(static_cast<double>(form.d_qk))) {}

  ConstTensor keys() const { return keys_; }
  ConstTensor values() const {
    return form_.latent ? ConstTensor(keys_).Columns(0, form_.d_v) : ConstTensor(values_);
  }
  ConstTensor q() const { return q_; }
  double scale() const { return scale_; }

  // Pages of `page` rows with the first `used` positions.
  Cache Pages(int64_t used, int64_t page) const {
    Cache cache;
    for (int64_t begin = 0; begin < used; begin += page) {
      const auto fill = [&](const ConstTensor& from) {
        const TestTensor copy(from.dtype(), {page, from.dim(1), from.dim(2)}, 1);
        const std::vector<double> nan(static_cast<size_t>(copy.elements()), std::nan(""));
        StoreAll(copy, nan);
        const int64_t rows = std::min(page, used - begin);
        StoreAll(Tensor(copy).Rows(0, rows), LoadAll(from.Rows(begin, begin + rows)));
        return copy;
      };
      cache.keys.push_back(fill(keys()));
      cache.values.push_back(fill(values()));
      cache.blocks.push_back({cache.keys.back(), cache.values.back()});
    }
    return cache;
  }

 private:
  Form form_;
  TestTensor keys_, values_, q_;
  double scale_;
};

struct Result {
  TestTensor out, lse;
  Result(DType type, int64_t tokens, const Form& form)
      : out(type, {tokens, form.heads, form.d_v}, 1), lse(DType::kF32, {tokens, form.heads}) {}
};

// P V in bf16 rounds each weight: its error is that of the weights.
void ExpectAttention(const ConstTensor& actual, const ConstTensor& expected) {
  const bool bf16 = actual.dtype() == DType::kBF16;
  ExpectClose(actual, expected, bf16 ? 6e-3 : 3e-6, bf16 ? 3e-2 : 3e-5);
}

TEST_P(CpuAttention, IsAttention) {
  auto reference = Reference(), cpu = Cpu(2);
  for (const Form& form : kForms) {
    for (const DType type : kActTypes) {
      for (const int64_t length : {int64_t{1}, int64_t{37}, int64_t{301}}) {
        if (form.heads > 100 && length > 100) continue;
        SCOPED_TRACE(testing::Message() << form.heads << " heads, " << length << Name(type));
        const Case test(random_, form, type, length);
        const Cache cache = test.Pages(length, length);
        const AttentionSequence sequence{0, length, 0, cache.blocks};
        const Result actual(type, length, form), expected(type, length, form);
        (*cpu)->Attention(cpu->context(), test.q(), {&sequence, 1}, test.scale(), actual.out,
                          actual.lse);
        (*reference)
            ->Attention(reference->context(), test.q(), {&sequence, 1}, test.scale(), expected.out,
                        expected.lse);
        ExpectAttention(actual.out, expected.out);
        ExpectClose(actual.lse, expected.lse, 2e-6, 1e-5);
        actual.out.ExpectSurroundingsUntouched();
        const Result without(type, length, form);
        (*cpu)->Attention(cpu->context(), test.q(), {&sequence, 1}, test.scale(), without.out, {});
        ExpectSameBits(without.out, actual.out);
      }
    }
  }
}

// The contract: a query's bits depend on its position and the keys before it, not on the chunk of
// the prefill it came in, the pages of the cache, the rest of the batch, or the threads.
TEST_P(CpuAttention, AnyPathGivesTheSameBits) {
  for (const Form& form : kForms) {
    if (form.heads > 100) continue;
    for (const DType type : kActTypes) {
      constexpr int64_t kLength = 601;
      const Case test(random_, form, type, kLength);
      const Cache whole_cache = test.Pages(kLength, kLength);
      const Result whole(type, kLength, form);
      auto one = Cpu();
      const AttentionSequence all{0, kLength, 0, whole_cache.blocks};
      (*one)->Attention(one->context(), test.q(), {&all, 1}, test.scale(), whole.out, whole.lse);

      // Pieces of a prefill and single queries, over pages of several sizes.
      std::vector<Cache> caches;
      std::vector<AttentionSequence> sequences;
      std::vector<std::array<int64_t, 3>> cuts = {{0, 1, 16},    {1, 199, 64},  {200, 57, 1},
                                                  {257, 1, 300}, {258, 254, 7}, {512, 2, 256},
                                                  {514, 86, 33}, {600, 1, 64}};
      for (const auto& [begin, count, page] : cuts)
        caches.push_back(test.Pages(begin + count, page));
      for (size_t i = 0; i < cuts.size(); ++i) {
        sequences.push_back({cuts[i][0], cuts[i][1], cuts[i][0], caches[i].blocks});
      }
      for (const int threads : {1, 2, 3, 4}) {
        auto cpu = Cpu(threads);
        const Result together(type, kLength, form), apart(type, kLength, form);
        (*cpu)->Attention(cpu->context(), test.q(), sequences, test.scale(), together.out,
                          together.lse);
        ExpectSameBits(together.out, whole.out);
        ExpectSameBits(together.lse, whole.lse);
        for (const AttentionSequence& sequence : sequences) {
          (*cpu)->Attention(cpu->context(), test.q(), {&sequence, 1}, test.scale(), apart.out,
                            apart.lse);
        }
        ExpectSameBits(apart.out, whole.out);
        ExpectSameBits(apart.lse, whole.lse);
      }
    }
  }
}

// A later token of the same prefill whose keys and values are not finite changes nothing before it.
TEST_P(CpuAttention, WhatIsNotFiniteStaysWithTheTokensThatSeeIt) {
  for (const Form& form : kForms) {
    for (const DType type : kActTypes) {
      // In the first and in a later chunk of keys, at an even and at an odd place.
      for (const int64_t bad : {int64_t{0}, int64_t{6}, int64_t{7}, int64_t{259}}) {
        const int64_t length = bad + 12;
        if (form.heads > 100 && length > 100) continue;
        SCOPED_TRACE(testing::Message() << form.heads << " heads, token " << bad << Name(type));
        const Case test(random_, form, type, length);
        const Cache cache = test.Pages(length, 16);
        const Result good(type, length, form), result(type, length, form);
        auto cpu = Cpu(2);
        const AttentionSequence sequence{0, length, 0, cache.blocks};
        (*cpu)->Attention(cpu->context(), test.q(), {&sequence, 1}, test.scale(), good.out,
                          good.lse);
        for (const auto* pages : {&cache.keys, &cache.values}) {
          const Tensor into = Tensor((*pages)[static_cast<size_t>(bad / 16)]);
          const Tensor row = into.Rows(bad % 16, bad % 16 + 1);
          StoreAll(row, std::vector<double>(static_cast<size_t>(row.elements()),
                                            std::numeric_limits<double>::infinity()));
        }
        (*cpu)->Attention(cpu->context(), test.q(), {&sequence, 1}, test.scale(), result.out,
                          result.lse);
        const auto out = [](const Result& r) { return ConstTensor(r.out); };
        ExpectSameBits(out(result).Rows(0, bad), out(good).Rows(0, bad));
        for (const double x : LoadAll(out(result).Rows(bad, length)))
          EXPECT_FALSE(std::isfinite(x));
      }
    }
  }
}

TEST_P(CpuAttention, RowsOfNoSequenceAreLeftAlone) {
  auto cpu = Cpu();
  const Form& form = kForms[0];
  const Case test(random_, form, DType::kBF16, 20);
  const Cache cache = test.Pages(5, 8);
  const Result result(DType::kBF16, 20, form);
  const AttentionSequence sequences[] = {{10, 5, 0, cache.blocks}, {3, 0, 7, cache.blocks}};
  (*cpu)->Attention(cpu->context(), test.q(), sequences, test.scale(), result.out, result.lse);
  const std::vector<double> out = LoadAll(result.out);
  const size_t row = static_cast<size_t>(form.heads * form.d_v);
  for (size_t t = 0; t < 20; ++t) {
    const bool written = std::any_of(out.begin() + static_cast<int64_t>(t * row),
                                     out.begin() + static_cast<int64_t>((t + 1) * row),
                                     [](double x) { return x != 0; });
    EXPECT_EQ(written, t >= 10 && t < 15) << t;
  }
}

struct Gradients {
  TestTensor dq, dk, dv;
  Gradients(DType type, DType key_type, int64_t tokens, const Form& form)
      : dq(type, {tokens, form.heads, form.d_qk}, 1),
        dk(key_type, {tokens, form.kv_heads, form.d_qk}, 3),
        dv(key_type, {tokens, form.kv_heads, form.d_v}, 1) {}
};

TEST_P(CpuAttention, BackwardIsTheGradient) {
  auto reference = Reference();
  for (const Form& form : kForms) {
    for (const DType type : kActTypes) {
      for (const DType key_type : {DType::kF32, type}) {
        const std::vector<int64_t> lengths =
            form.heads > 100 ? std::vector<int64_t>{5, 20} : std::vector<int64_t>{1, 300, 70};
        int64_t tokens = 2;  // the first two rows are in no sequence
        for (const int64_t length : lengths) tokens += length;
        const Case test(random_, form, type, tokens);
        std::vector<KeyBlock> blocks;
        std::vector<AttentionSequence> sequences;
        int64_t begin = 2;
        for (const int64_t length : lengths) {
          blocks.push_back(
              {test.keys().Rows(begin, begin + length), test.values().Rows(begin, begin + length)});
          sequences.push_back({begin, length, 0, {}});
          begin += length;
        }
        for (size_t i = 0; i < blocks.size(); ++i) sequences[i].blocks = {&blocks[i], 1};

        const Result forward(type, tokens, form);
        (*reference)
            ->Attention(reference->context(), test.q(), sequences, test.scale(), forward.out,
                        forward.lse);
        const TestTensor dout = RandomTensor(random_, type, {tokens, form.heads, form.d_v}, 1, 1);
        const Gradients expected(type, key_type, tokens, form);
        (*reference)
            ->AttentionBackward(reference->context(), dout, test.q(), sequences, test.scale(),
                                forward.out, forward.lse, expected.dq, expected.dk, expected.dv);
        std::unique_ptr<Gradients> first;
        for (const int threads : {1, 2, 3, 4}) {
          auto cpu = Cpu(threads);
          auto actual = std::make_unique<Gradients>(type, key_type, tokens, form);
          (*cpu)->AttentionBackward(cpu->context(), dout, test.q(), sequences, test.scale(),
                                    forward.out, forward.lse, actual->dq, actual->dk, actual->dv);
          if (!first) {
            first = std::move(actual);
            // bf16: P and dS are rounded before they are multiplied.
            const double norm = type == DType::kF32 ? 5e-6 : 1e-2;
            ExpectClose(first->dq, expected.dq, norm, 10 * norm);
            ExpectClose(first->dk, expected.dk, norm, 10 * norm);
            ExpectClose(first->dv, expected.dv, norm, 10 * norm);
            first->dq.ExpectSurroundingsUntouched();
            first->dk.ExpectSurroundingsUntouched();
            first->dv.ExpectSurroundingsUntouched();
          } else {
            ExpectSameBits(actual->dq, first->dq);
            ExpectSameBits(actual->dk, first->dk);
            ExpectSameBits(actual->dv, first->dv);
          }
        }
        // Each sequence alone: the same bits.
        auto cpu = Cpu(2);
        const Gradients apart(type, key_type, tokens, form);
        for (const AttentionSequence& sequence : sequences) {
          (*cpu)->AttentionBackward(cpu->context(), dout, test.q(), {&sequence, 1}, test.scale(),
                                    forward.out, forward.lse, apart.dq, apart.dk, apart.dv);
        }
        ExpectSameBits(apart.dq, first->dq);
        ExpectSameBits(apart.dk, first->dk);
        ExpectSameBits(apart.dv, first->dv);
      }
    }
  }
}

}  // namespace
}  // namespace fathom::test
