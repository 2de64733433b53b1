#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

// What one kind of work took, over all its calls.
struct OperationProfile {
  std::string name;   // of the operation, as in Backend
  std::string shape;  // what was computed; products are told apart by it, empty elsewhere
  int64_t calls = 0;
  double seconds = 0;
  double flops = 0;  // of products and attention, a multiply-add being two; 0 elsewhere
  double bytes = 0;  // that the operands and results of all calls have together
};

// Where time went, operation by operation. Not thread-safe.
class Profile {
 public:
  void Add(std::string_view name, std::string shape, double seconds, double flops, double bytes);
  void Clear() { operations_.clear(); }

  // The longest first.
  std::vector<OperationProfile> Operations() const;
  // In all operations.
  double Seconds() const;

  // One line a kind of work: calls, milliseconds and share of one step's time, FLOP/s with their
  // share of the peak (FLOP/s; 0: unknown), bytes a second; then what no operation took. `seconds`
  // went by during `steps` steps.
  std::string ToTable(double seconds, int64_t steps, double peak_flops) const;

 private:
  std::map<std::pair<std::string, std::string>, OperationProfile, std::less<>> operations_;
};

}  // namespace fathom
