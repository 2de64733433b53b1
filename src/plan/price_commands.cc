// What `fathom plan price` and `fathom plan market` can be told.

#include "plan/commands.h"
#include "plan/market.h"
#include "plan/option_makers.h"

namespace fathom {

PlanCommand PriceCommand() {
  PlanCommand command{"price",
                      "What an hour of a device costs, owned and rented; API prices.",
                      "fathom plan price --on h100 --device-price 30000",
                      {}};
  command.options = {
      DeviceOption(),
      RentOption(),
      NumberOption("device-price", "$", 0.01, 1e8, "",
                   "Price of a device with its share of the server"),
      FileOption("money", "A TOML file whose numbers replace what owning costs"),
  };
  command.options.push_back(PriceFileOption());
  AddHardwareAndSampling(command.options);
  SetCommonGroups(command);
  return command;
}

PlanCommand MarketCommand() {
  PlanCommand command{"market",
                      "How the price of a capability falls, what a leader may ask, and Jevons.",
                      "fathom plan market --price 2.19 --progress 10 --elasticity 1.5",
                      {}};
  command.options = {
      NumberOption("price", "$", 1e-6, 1e6, "2.19", "Follower's price of a million output tokens"),
      NumberOption("cost", "$", 1e-6, 1e6, "",
                   "Follower's cost of a million output tokens; without it what `serve` predicts"),
      NumberOption("leader-price", "$", 1e-6, 1e6, "", "Leader's price of a million output tokens"),
      NumberOption("progress", "times", 1.0001, 1e6, "", "Times cheaper every year"),
      NumberOption("years", "years", 0.01, 50, "4", "Years to look ahead"),
      NumberOption("lag", "years", 0, 50, "", "Years that the follower is behind"),
      NumberOption("elasticity", "1", 0, 100, "", "Elasticity of the demand for tokens"),
      NumberOption("supply-elasticity", "1", 0, 100, "", "Elasticity of the GPU-hours on offer"),
      FileOption("market", "A TOML file whose numbers replace the built-in ones"),
  };
  AddHardwareAndSampling(command.options);
  const Market m = Market::Load();
  SetLikely(command, {{"leader-price", m.leader_output},
                      {"progress", m.progress},
                      {"lag", m.lag},
                      {"elasticity", m.elasticity},
                      {"supply-elasticity", m.supply_elasticity}});
  SetGroup(command, "Elasticities", {"elasticity", "supply-elasticity"});
  SetCommonGroups(command);
  return command;
}

}  // namespace fathom
