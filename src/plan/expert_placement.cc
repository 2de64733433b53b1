#include "plan/expert_placement.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace fathom {
namespace {

// Items, heaviest first, each into the lightest bin that has room. Returns the bin of each item.
std::vector<size_t> Pack(const std::vector<double>& weights, size_t bins, size_t capacity) {
  std::vector<size_t> order(weights.size()), bin_of(weights.size()), count(bins, 0);
  std::vector<double> load(bins, 0);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return weights[a] > weights[b]; });
  for (const size_t item : order) {
    size_t best = bins;
    for (size_t bin = 0; bin < bins; ++bin) {
      if (count[bin] < capacity && (best == bins || load[bin] < load[best])) best = bin;
    }
    FATHOM_CHECK(best < bins, "{} items do not fit into {} x {}", weights.size(), bins, capacity);
    bin_of[item] = best;
    ++count[best];
    load[best] += weights[item];
  }
  return bin_of;
}

// One pool of devices for the experts `members`; its devices start at `first`.
void PlacePool(const std::vector<double>& loads, const std::vector<int>& members, size_t first,
               size_t devices, size_t slots, ExpertPlacement& placement) {
  std::vector<int> replica_of = members;
  while (replica_of.size() < devices * slots) {
    int heaviest = members[0];
    const auto carried = [&](int expert) {
      return loads[static_cast<size_t>(expert)] / placement.replicas[static_cast<size_t>(expert)];
    };
    for (const int expert : members) {
      if (carried(expert) > carried(heaviest)) heaviest = expert;
    }
    ++placement.replicas[static_cast<size_t>(heaviest)];
    replica_of.push_back(heaviest);
  }
  std::vector<double> weights;
  for (const int expert : replica_of) {
    weights.push_back(loads[static_cast<size_t>(expert)] /
                      placement.replicas[static_cast<size_t>(expert)]);
  }
  const std::vector<size_t> device_of = Pack(weights, devices, slots);
  for (size_t i = 0; i < replica_of.size(); ++i) {
    placement.experts[first + device_of[i]].push_back(replica_of[i]);
    placement.device_load[first + device_of[i]] += weights[i];
  }
}

void Check(const std::vector<double>& loads, const PlacementShape& shape) {
  const auto experts = static_cast<int64_t>(loads.size());
  constexpr int64_t kMost = 1 << 20;
  for (const int64_t size : {shape.devices, shape.servers, shape.groups, shape.slots}) {
    if (size < 1 || size > kMost) {
      throw UsageError("expert placement", fmt::format("{} is not between 1 and {}", size, kMost));
    }
  }
  if (shape.devices % shape.servers != 0) {
    throw UsageError("expert placement", fmt::format("{} devices cannot be shared by {} servers",
                                                     shape.devices, shape.servers));
  }
  if (shape.devices * shape.slots < experts) {
    throw UsageError(
        "expert placement",
        fmt::format("{} devices with {} slots do not hold {} experts", shape.devices, shape.slots,
                    experts),
        fmt::format("it takes {} slots a device", (experts + shape.devices - 1) / shape.devices));
  }
  for (const double load : loads) {
    if (!(load >= 0 && load < 1e300)) {
      throw UsageError("expert loads", fmt::format("{} is not a load", load));
    }
  }
}

ExpertPlacement Empty(const std::vector<double>& loads, const PlacementShape& shape) {
  const auto devices = static_cast<size_t>(shape.devices);
  return {.experts = std::vector<std::vector<int>>(devices),
          .replicas = std::vector<int>(loads.size(), 1),
          .device_load = std::vector<double>(devices, 0)};
}

// Whether groups can stay within servers, as many in each.
bool IsHierarchical(const std::vector<double>& loads, const PlacementShape& shape) {
  const auto experts = static_cast<int64_t>(loads.size());
  return shape.groups > 1 && shape.groups % shape.servers == 0 && experts % shape.groups == 0 &&
         shape.devices / shape.servers * shape.slots >= experts / shape.servers;
}

ExpertPlacement Place(const std::vector<double>& loads, const PlacementShape& shape) {
  ExpertPlacement placement = Empty(loads, shape);
  const auto slots = static_cast<size_t>(shape.slots);
  if (!IsHierarchical(loads, shape)) {
    std::vector<int> all(loads.size());
    std::iota(all.begin(), all.end(), 0);
    PlacePool(loads, all, 0, static_cast<size_t>(shape.devices), slots, placement);
    return placement;
  }
  const auto groups = static_cast<size_t>(shape.groups),
             servers = static_cast<size_t>(shape.servers);
  const size_t of_group = loads.size() / groups,
               of_server = static_cast<size_t>(shape.devices) / servers;
  std::vector<double> group_load(groups, 0);
  for (size_t e = 0; e < loads.size(); ++e) group_load[e / of_group] += loads[e];
  const std::vector<size_t> server_of = Pack(group_load, servers, groups / servers);
  for (size_t server = 0; server < servers; ++server) {
    std::vector<int> members;
    for (size_t e = 0; e < loads.size(); ++e) {
      if (server_of[e / of_group] == server) members.push_back(static_cast<int>(e));
    }
    PlacePool(loads, members, server * of_server, of_server, slots, placement);
  }
  return placement;
}

}  // namespace

double ExpertPlacement::balance() const {
  const double most = *std::max_element(device_load.begin(), device_load.end());
  const double sum = std::accumulate(device_load.begin(), device_load.end(), 0.0);
  return most > 0 ? sum / static_cast<double>(device_load.size()) / most : 1;
}

ExpertPlacement PlaceWithoutRedundancy(const std::vector<double>& loads,
                                       const PlacementShape& shape) {
  Check(loads, shape);
  ExpertPlacement placement = Empty(loads, shape);
  const auto devices = static_cast<size_t>(shape.devices);
  const std::vector<size_t> device_of =
      Pack(loads, devices, (loads.size() + devices - 1) / devices);
  for (size_t e = 0; e < loads.size(); ++e) {
    placement.experts[device_of[e]].push_back(static_cast<int>(e));
    placement.device_load[device_of[e]] += loads[e];
  }
  return placement;
}

ExpertPlacement PlaceExperts(const std::vector<double>& loads, const PlacementShape& shape) {
  Check(loads, shape);
  ExpertPlacement placement = Place(loads, shape);
  ExpertPlacement plain = PlaceWithoutRedundancy(loads, shape);
  if (placement.balance() >= plain.balance()) return placement;
  for (std::vector<int>& held : plain.experts) {
    // A device without an expert stays empty.
    while (!held.empty() && held.size() < static_cast<size_t>(shape.slots)) {
      held.push_back(held.front());
      ++plain.replicas[static_cast<size_t>(held.front())];
    }
  }
  return plain;
}

std::vector<double> ZipfLoads(int64_t experts, double exponent, uint64_t seed) {
  std::vector<double> loads(static_cast<size_t>(experts));
  for (size_t i = 0; i < loads.size(); ++i) {
    loads[i] = std::pow(static_cast<double>(i + 1), -exponent);
  }
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  for (double& load : loads) load /= sum;
  RandomStream random(seed);
  for (size_t i = loads.size(); i > 1; --i) std::swap(loads[i - 1], loads[random.NextBelow(i)]);
  return loads;
}

std::vector<double> ReadLoads(const std::filesystem::path& path, int64_t experts) {
  const std::string text = ReadFile(path);
  std::vector<double> loads;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    if (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t' || *at == ',') {
      ++at;
      continue;
    }
    double load = 0;
    const auto [rest, error] = std::from_chars(at, end, load);
    if (error != std::errc() || !(load >= 0 && load < 1e300)) {
      throw Error(fmt::format("{}, byte {}", path.string(), at - text.data()),
                  "is not the load of an expert");
    }
    loads.push_back(load);
    at = rest;
  }
  if (loads.size() != static_cast<size_t>(experts)) {
    throw Error(path.string(),
                fmt::format("has {} loads, the model has {} experts", loads.size(), experts));
  }
  return loads;
}

}  // namespace fathom
