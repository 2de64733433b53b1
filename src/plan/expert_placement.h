#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace fathom {

// Which expert each slot of each device holds, when heavy experts have several replicas among which
// their load is split evenly.
struct ExpertPlacement {
  std::vector<std::vector<int>> experts;  // of each device, by slot
  std::vector<int> replicas;              // of each expert, at least 1
  std::vector<double> device_load;
  // Mean load of a device / that of the fullest: the speed of a group that waits for it, against
  // perfect balance. 1 when there is no load.
  double balance() const;
};

// Where experts are placed: `devices` in `servers` servers of as many devices; each device has
// `slots` slots. `groups`: routing groups of consecutive experts. Where the servers divide the
// groups, groups stay within a server (the hierarchical policy); otherwise all slots are one pool
// (global).
struct PlacementShape {
  int64_t devices = 1, servers = 1, groups = 1, slots = 1;
};

// The policy of EPLB (README of deepseek-ai/EPLB), greedily: the next replica goes to the expert
// whose replicas carry most, and replicas go, heaviest first, to the device that carries least and
// has a slot left. Where that comes out worse than no redundancy (a greedy packing may), experts
// stay as without it, and spare slots hold a second replica of what their device holds. Throws
// UsageError when the shape does not divide or has fewer slots than experts.
ExpertPlacement PlaceExperts(const std::vector<double>& loads, const PlacementShape& shape);
// Every expert once, packed as evenly as the same greedy rule gets it.
ExpertPlacement PlaceWithoutRedundancy(const std::vector<double>& loads,
                                       const PlacementShape& shape);

// Shares of `experts` experts by Zipf's law, 1 / rank^exponent, in an order that is a function of
// the seed.
std::vector<double> ZipfLoads(int64_t experts, double exponent, uint64_t seed);
// Numbers separated by white space or commas, one an expert. Throws Error naming the file.
std::vector<double> ReadLoads(const std::filesystem::path& path, int64_t experts);

}  // namespace fathom
