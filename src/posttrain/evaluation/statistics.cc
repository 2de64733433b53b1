#include "posttrain/evaluation/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

constexpr double kNormal975 = 1.959963984540054;  // its quantile
constexpr int kResamples = 10'000;
// Independent streams for the two uses of chance.
constexpr uint64_t kBootstrapKey = 0x70617274736F6F62, kExchangeKey = 0x65676E6168637865;

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// P(X <= most) of X binomial with `trials` and 1/2.
double BinomialTail(int64_t trials, int64_t most) {
  double sum = 0;
  const auto n = static_cast<double>(trials);
  for (int64_t i = 0; i <= most; ++i) {
    const auto k = static_cast<double>(i);
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                    n * std::log(2.0));
  }
  return sum;
}

double ExchangeTest(std::span<const double> differences) {
  const double observed = std::fabs(std::accumulate(differences.begin(), differences.end(), 0.0));
  RandomStream random(kExchangeKey);
  int as_large = 0;
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0;
    uint64_t bits = 0;
    for (size_t j = 0; j < differences.size(); ++j) {
      if (j % 64 == 0) bits = random.NextBits();
      sum += (bits >> j % 64 & 1) != 0 ? differences[j] : -differences[j];
    }
    // Sums of the same numbers in another order may differ by their rounding.
    if (std::fabs(sum) >= observed - 1e-9) ++as_large;
  }
  return (1.0 + as_large) / (1.0 + kResamples);
}

}  // namespace

Estimated WilsonInterval(int64_t successes, int64_t trials) {
  FATHOM_CHECK(trials > 0 && successes >= 0 && successes <= trials);
  const auto n = static_cast<double>(trials), s = static_cast<double>(successes);
  const double z2 = kNormal975 * kNormal975;
  const double center = (s + z2 / 2) / (n + z2);
  const double half = kNormal975 / (n + z2) * std::sqrt(s * (n - s) / n + z2 / 4);
  // The formula gives 0 and 1 there, but for rounding.
  return {s / n, successes == 0 ? 0 : center - half, successes == trials ? 1 : center + half};
}

Estimated BootstrapMean(std::span<const double> values) {
  FATHOM_CHECK(!values.empty());
  RandomStream random(kBootstrapKey);
  std::vector<double> means;
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0;
    for (size_t j = 0; j < values.size(); ++j) sum += values[random.NextBelow(values.size())];
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  const auto quantile = [&](double share) {
    return means[static_cast<size_t>(share * (kResamples - 1))];
  };
  return {Mean(values), quantile(0.025), quantile(0.975)};
}

double PassAtK(int64_t n, int64_t c, int64_t k) {
  FATHOM_CHECK(k >= 1 && k <= n && c >= 0 && c <= n);
  if (n - c < k) return 1;
  double none = 1;
  for (int64_t i = n - c + 1; i <= n; ++i) {
    none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  }
  return 1 - none;
}

PairedDifference ComparePaired(std::span<const double> a, std::span<const double> b) {
  FATHOM_CHECK(a.size() == b.size() && !a.empty());
  PairedDifference result;
  std::vector<double> differences(a.size());
  bool binary = true;
  for (size_t i = 0; i < a.size(); ++i) {
    differences[i] = a[i] - b[i];
    if (differences[i] > 0) ++result.better;
    if (differences[i] < 0) ++result.worse;
    binary = binary && (a[i] == 0 || a[i] == 1) && (b[i] == 0 || b[i] == 1);
  }
  result.difference = BootstrapMean(differences);
  const int64_t discordant = result.better + result.worse;
  if (discordant == 0) return result;
  result.p =
      binary ? std::min(1.0, 2 * BinomialTail(discordant, std::min(result.better, result.worse)))
             : ExchangeTest(differences);
  return result;
}

}  // namespace fathom
