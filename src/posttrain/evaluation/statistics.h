#pragma once

#include <cstdint>
#include <span>

namespace fathom {

// A share with a 95 % confidence interval.
struct Estimated {
  double value = 0, low = 0, high = 0;
};

// Of independent trials (Wilson, JASA 22, 1927): holds at 0 and 1 too, where the normal
// approximation has no width. trials > 0.
Estimated WilsonInterval(int64_t successes, int64_t trials);

// The mean of values, one a problem, over problems drawn again with replacement (the percentile
// bootstrap; a function of the values alone). For values that are means of several samples, which
// are not independent trials. values: not empty.
Estimated BootstrapMean(std::span<const double> values);

// The probability that at least one of k of the n samples is right, when k are drawn without
// replacement and c of the n are right: 1 - C(n-c, k) / C(n, k), the unbiased estimator of Chen et
// al., arXiv 2107.03374, section 2.1. 1 <= k <= n.
double PassAtK(int64_t n, int64_t c, int64_t k);

// Two models on the same problems: a's share of right answers less b's.
struct PairedDifference {
  Estimated difference;  // by the bootstrap over problems
  // The two-sided probability of a difference as large if the models were equal: exact (McNemar's
  // test, binomial) where every value is 0 or 1, else by 10,000 random exchanges of the models on
  // each problem.
  double p = 1;
  int64_t better = 0, worse = 0;  // problems on which a is better, and worse
};
PairedDifference ComparePaired(std::span<const double> a, std::span<const double> b);

}  // namespace fathom
