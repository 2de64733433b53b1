// Matrix products beside oneDNN's in one process: every shape of gemm_shapes.h, weights packed by
// both beforehand, operands in the caches ("hot") or taken in turn from more memory than those hold
// ("DRAM"). The two take turns, and the medians of their times are compared.
//
//   fathom_gemm_bench [--type bf16|f32] [--isa best|avx2] [--threads 1,2] [--place hot,dram]
//                     [--filter small] [--rounds 9] [--json FILE] [--grouped]

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "backend/cpu/cpu_backend.h"
#include "base/thread_pool.h"
#include "cli/options/program.h"
#include "gemm_peer.h"
#include "tensor/arena.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

// More than the last-level cache holds.
constexpr int64_t kColdBytes = 96 << 20;
// A sample is so many runs that it takes about this long.
constexpr double kSampleSeconds = 4e-4;

struct Options {
  std::string type = "bf16", isa = "best", filter, json;
  std::vector<int> threads = {1, 2};
  std::vector<std::string> places = {"hot", "dram"};
  int rounds = 9;
  bool grouped = false;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class Machine {
 public:
  Machine(Backend& backend, ThreadPool& pool) : context_{&backend, &pool, &workspace_} {}
  Context& context() { return context_; }

  // Small numbers, no denormals: what they are does not change the speed.
  Tensor New(DType dtype, const Shape& shape) {
    const Tensor result = memory_.New(dtype, shape);
    const auto bytes = static_cast<int64_t>(result.bytes());
    if (dtype == DType::kF32) {
      auto* at = static_cast<float*>(result.raw());
      for (int64_t i = 0; i < bytes / 4; ++i) at[i] = 0.01f * static_cast<float>(i % 89);
    } else {
      auto* at = static_cast<uint16_t*>(result.raw());
      for (int64_t i = 0; i < bytes / 2; ++i) at[i] = static_cast<uint16_t>(0x3c00 + i % 89);
    }
    return result;
  }
  PackedMatrix Packed(DType dtype, int64_t n, int64_t k) {
    PackedMatrix packed{nullptr, context_.backend->PackedBytes(dtype, n, k), dtype, n, k};
    packed.data = memory_.NewBytes(packed.bytes);
    ArenaScope scope(workspace_);
    const ConstTensor matrix = workspace_.New(dtype, {n, k});
    std::memset(const_cast<void*>(matrix.raw()), 0x3c, static_cast<size_t>(matrix.bytes()));
    const WeightPart part(matrix);
    context_.backend->Pack(context_, {&part, 1}, false, packed);
    return packed;
  }

 private:
  Arena workspace_{MemoryRole::kWorkspace}, memory_{MemoryRole::kSaved};
  Context context_;
};

// One product as Fathom computes it, over one of `copies` sets of operands.
class OwnGemm {
 public:
  OwnGemm(Backend& backend, ThreadPool& pool, const GemmShape& shape, DType type, int64_t copies)
      : machine_(backend, pool) {
    const int64_t n = shape.weight->n, k = shape.weight->k, m = shape.m;
    const bool gradient = shape.direction == Direction::kWeightGradient;
    const bool input = shape.direction == Direction::kInputGradient;
    weights_.reserve(static_cast<size_t>(copies));
    for (int64_t copy = 0; copy < copies; ++copy) {
      if (gradient) {
        gradients_.push_back({machine_.New(type, {m, n}), machine_.New(type, {m, k}),
                              machine_.New(DType::kF32, {n, k})});
      } else {
        weights_.push_back(input ? machine_.Packed(type, k, n) : machine_.Packed(type, n, k));
        products_.push_back({machine_.New(type, {m, input ? n : k}), &weights_.back(),
                             machine_.New(type, {m, input ? k : n})});
      }
    }
  }
  void Run(int64_t copy) {
    const auto i = static_cast<size_t>(copy);
    Backend& backend = *machine_.context().backend;
    if (products_.empty()) {
      backend.MatmulBackwardWeight(machine_.context(), {&gradients_[i], 1});
    } else {
      backend.Matmul(machine_.context(), {&products_[i], 1});
    }
  }

 private:
  Machine machine_;
  std::vector<PackedMatrix> weights_;
  std::vector<MatmulProblem> products_;
  std::vector<WeightGradientProblem> gradients_;
};

template <typename Side>
double Sample(Side& side, int64_t runs, int64_t copies, int64_t* next) {
  const auto start = Clock::now();
  for (int64_t run = 0; run < runs; ++run) {
    side.Run(*next);
    *next = *next + 1 == copies ? 0 : *next + 1;
  }
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(runs);
}

// The other side's threads go to sleep before one starts: both spin for a while when they are done.
void LetSleep(int threads) {
  if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void PinTo(const cpu_set_t& set) { sched_setaffinity(0, sizeof(set), &set); }

// The caller on the first processor and the pool's threads on the others, as OMP_PROC_BIND places
// the peer's: left alone, the system sometimes puts two threads on one processor for a while.
std::unique_ptr<ThreadPool> PinnedPool(int threads) {
  cpu_set_t first, others;
  CPU_ZERO(&first);
  CPU_ZERO(&others);
  CPU_SET(0, &first);
  for (int i = 1; i < std::max(2, threads); ++i) CPU_SET(i, &others);
  PinTo(others);
  auto pool = std::make_unique<ThreadPool>(threads);
  PinTo(first);
  return pool;
}

struct Times {
  double own = 0, peer = 0;  // seconds
};

// Medians of rounds that take turns; `peer` may be null.
template <typename Own, typename Peer>
Times Compare(Own& own, Peer* peer, int64_t copies, int threads, int rounds) {
  int64_t own_next = 0, peer_next = 0;
  Sample(own, 1, copies, &own_next);
  const double once = Sample(own, 1, copies, &own_next);
  const int64_t runs = std::clamp<int64_t>(static_cast<int64_t>(kSampleSeconds / once), 1, 1000);
  if (once > 0.03) rounds = std::min(rounds, 5);
  std::vector<double> own_times, peer_times;
  for (int round = 0; round < rounds; ++round) {
    LetSleep(threads);
    Sample(own, std::max<int64_t>(1, runs / 8), copies, &own_next);
    own_times.push_back(Sample(own, runs, copies, &own_next));
    if (peer == nullptr) continue;
    LetSleep(threads);
    Sample(*peer, std::max<int64_t>(1, runs / 8), copies, &peer_next);
    peer_times.push_back(Sample(*peer, runs, copies, &peer_next));
  }
  return {Median(own_times), peer == nullptr ? 0 : Median(peer_times)};
}

const char* NameOf(Direction direction) {
  switch (direction) {
    case Direction::kForward:
      return "forward";
    case Direction::kInputGradient:
      return "input gradient";
    default:
      return "weight gradient";
  }
}

int64_t OperandBytes(const GemmShape& shape, DType type) {
  const int64_t n = shape.weight->n, k = shape.weight->k, m = shape.m;
  const auto size = static_cast<int64_t>(SizeOf(type));
  const bool gradient = shape.direction == Direction::kWeightGradient;
  return (m * n + m * k) * size + n * k * (gradient ? 4 : size);
}

class Bench {
 public:
  Bench(const Options& options)
      : options_(options),
        type_(options.type == "f32" ? DType::kF32 : DType::kBF16),
        backend_(CreateCpuBackend(options.isa == "avx2" ? CpuTarget::kAvx2 : CpuTarget::kBest)) {
    result_ = {{"peer", PeerVersion().empty() ? "" : "oneDNN " + PeerVersion()},
               {"compiler", __VERSION__},
               {"kernels", backend_->name()},
               {"type", options.type},
               {"shapes", nlohmann::json::array()}};
  }

  void Shapes() {
    for (const GemmShape& shape : AllGemmShapes()) {
      const std::string name = fmt::format("{} {}, {}", shape.weight->model, shape.weight->weight,
                                           NameOf(shape.direction));
      if (name.find(options_.filter) == std::string::npos) continue;
      for (const int threads : options_.threads) {
        const auto pool = PinnedPool(threads);
        SetPeerThreads(threads);
        for (const std::string& place : options_.places) One(shape, name, place, threads, *pool);
      }
    }
    Summary();
  }

  // All experts' products as one call beside one product of the same work.
  void Grouped() {
    constexpr int64_t kExperts = 64, kExpertRows = 32;
    fmt::print("{} experts x {} rows in one call, beside one product of all rows with one weight\n",
               kExperts, kExpertRows);
    for (const WeightShape& weight : kWeights) {
      if (!std::string_view(weight.weight).starts_with("expert")) continue;
      for (const bool input : {false, true}) {
        for (const int threads : options_.threads) {
          const auto pool = PinnedPool(threads);
          Machine machine(*backend_, *pool);
          const int64_t n = input ? weight.k : weight.n, k = input ? weight.n : weight.k;
          std::vector<PackedMatrix> packed;
          for (int64_t e = 0; e < kExperts; ++e) packed.push_back(machine.Packed(type_, n, k));
          const Tensor a = machine.New(type_, {kExperts * kExpertRows, k});
          const Tensor c = machine.New(type_, {kExperts * kExpertRows, n});
          std::vector<MatmulProblem> problems;
          for (int64_t e = 0; e < kExperts; ++e) {
            const int64_t begin = e * kExpertRows, end = begin + kExpertRows;
            problems.push_back(
                {a.Rows(begin, end), &packed[static_cast<size_t>(e)], c.Rows(begin, end)});
          }
          const MatmulProblem whole{a, &packed[0], c};
          struct Calls {
            Machine* machine;
            std::span<const MatmulProblem> problems;
            void Run(int64_t) { machine->context().backend->Matmul(machine->context(), problems); }
          } grouped{&machine, problems}, one{&machine, {&whole, 1}};
          const Times times = Compare(grouped, &one, 1, threads, options_.rounds);
          const double flops = 2.0 * static_cast<double>(kExperts * kExpertRows * n * k);
          fmt::print("{:8} {:14} {:15} {} threads: {:6.1f} GFLOP/s, {:4.0f} % of {:6.1f}\n",
                     weight.model, weight.weight, input ? "input gradient" : "forward", threads,
                     flops / times.own * 1e-9, 100 * times.peer / times.own,
                     flops / times.peer * 1e-9);
          result_["grouped"].push_back({{"model", weight.model},
                                        {"weight", weight.weight},
                                        {"direction", input ? "input gradient" : "forward"},
                                        {"threads", threads},
                                        {"seconds", times.own},
                                        {"one_product_seconds", times.peer}});
        }
      }
    }
  }

  void Write() const {
    if (options_.json.empty()) return;
    std::ofstream(options_.json) << result_.dump(1) << "\n";
  }

 private:
  void One(const GemmShape& shape, const std::string& name, const std::string& place, int threads,
           ThreadPool& pool) {
    const int64_t bytes = OperandBytes(shape, type_);
    const int64_t copies = place == "hot" ? 1 : std::max<int64_t>(2, kColdBytes / bytes);
    OwnGemm own(*backend_, pool, shape, type_, copies);
    const auto peer = MakePeer(shape, type_ == DType::kBF16, copies);
    const Times times = Compare(own, peer.get(), copies, threads, options_.rounds);
    const std::string kernel = peer ? peer->implementation() : "";
    const double ratio = times.peer > 0 ? times.own / times.peer : 0;
    fmt::print(
        "{:44} {:5}x{:5}x{:5} {:4} {}t {:10.2f} us {:7.1f} GFLOP/s  peer {:7.1f}  time x {:.3f}  "
        "{}\n",
        name, shape.m, shape.weight->n, shape.weight->k, place, threads, times.own * 1e6,
        shape.flops() / times.own * 1e-9, times.peer > 0 ? shape.flops() / times.peer * 1e-9 : 0.0,
        ratio, kernel);
    std::fflush(stdout);
    result_["shapes"].push_back({{"shape", name},
                                 {"m", shape.m},
                                 {"n", shape.weight->n},
                                 {"k", shape.weight->k},
                                 {"place", place},
                                 {"threads", threads},
                                 {"seconds", times.own},
                                 {"peer_seconds", times.peer},
                                 {"peer_kernel", kernel}});
    if (ratio > 0) ratios_.push_back(ratio);
  }

  void Summary() {
    if (ratios_.empty()) {
      fmt::print(
          "No oneDNN to compare with: scripts/install-packages.sh bench, then build again.\n");
      return;
    }
    std::vector<double> sorted = ratios_;
    std::sort(sorted.begin(), sorted.end());
    double log_sum = 0;
    for (const double ratio : sorted) log_sum += std::log(ratio);
    const auto within = [&](double bar) {
      return std::upper_bound(sorted.begin(), sorted.end(), bar) - sorted.begin();
    };
    fmt::print(
        "time over oneDNN {}'s: median {:.3f}, geometric mean {:.3f}, worst {:.3f}; of {} cases {} "
        "within 1.05, {} within 1 / 0.85\n",
        PeerVersion(), Median(sorted), std::exp(log_sum / static_cast<double>(sorted.size())),
        sorted.back(), sorted.size(), within(1.05), within(1 / 0.85));
  }

  const Options& options_;
  DType type_;
  std::unique_ptr<Backend> backend_;
  nlohmann::json result_;
  std::vector<double> ratios_;
};

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  // libgomp reads it before main: how long its threads spin when they have nothing to do, here
  // about as long as those of Fathom's pool take to fall asleep several times over, not many
  // milliseconds.
  if (std::getenv("GOMP_SPINCOUNT") == nullptr) {
    setenv("GOMP_SPINCOUNT", "10000", 1);
    setenv("OMP_PROC_BIND", "true", 1);
    execv("/proc/self/exe", argv);
  }
  fathom::Options options;
  fathom::Program program("fathom_gemm_bench", "Matrix products beside oneDNN's");
  fathom::Command app = program.command();
  app.AddOption("--type", options.type).OneOf({"bf16", "f32"});
  app.AddOption("--isa", options.isa).OneOf({"best", "avx2"});
  app.AddOption("--threads", options.threads).Delimiter(',');
  app.AddOption("--place", options.places).Delimiter(',');
  app.AddOption("--filter", options.filter, "only shapes whose name contains this");
  app.AddOption("--rounds", options.rounds);
  app.AddOption("--json", options.json, "also written to this file");
  app.AddFlag("--grouped", options.grouped, "experts' products beside one product");
  app.OnRun([&options] {
    if (options.isa == "avx2") fathom::CapPeerToAvx2();
    fathom::Bench bench(options);
    if (options.grouped) {
      bench.Grouped();
    } else {
      bench.Shapes();
    }
    bench.Write();
  });
  try {
    program.Run(argc, argv);
  } catch (const fathom::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
