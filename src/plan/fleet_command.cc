// What `fathom plan fleet` can be told.

#include "plan/commands.h"
#include "plan/fleet.h"
#include "plan/option_makers.h"

namespace fathom {

PlanCommand FleetCommand() {
  PlanCommand command{"fleet",
                      "What a fleet costs, whether it could be bought, and whom it serves.",
                      "fathom plan fleet --inventory h800=2000@2023-06-30,h20=8000@2024-10-01 "
                      "--sites east=0.7,west=0.3 --users 5e6",
                      {}};
  command.options = {
      ModelOption(),
      TextOption("inventory",
                 "a100=10000@2021-12-31,h800=10000@2023-06-30,h100=10000@2023-06-30,"
                 "h20=30000@2024-12-31",
                 "DEVICE=COUNT[@DAY OF PURCHASE], separated by commas"),
      TextOption("sites", "one=1", "NAME=SHARE, separated by commas"),
      ChoiceOption("market", {"china", "elsewhere"}, "china", "Where devices are bought"),
      FlagOption("refuse", "Refuse what could not be bought on its day, not only flag it"),
      TextOption("day", "2026-11-01", "When devices for these users would be bought, YYYY-MM-DD"),
      NumberOption("users", "users", 0, 1e10, "20e6", "Users of a day"),
      NumberOption("research", "1", 0, 1, "", "Share of the fleet that does research"),
      NumberOption("training", "1", 0, 1, "", "Share of the fleet that trains"),
      NumberOption("inference", "1", 0, 1, "", "Share of the fleet that serves"),
      NumberOption("answer-tokens", "tokens", 1, 1e7, "",
                   "Tokens of an answer, its thinking included"),
      NumberOption("answers", "answers", 0.001, 1e6, "", "Answers of a user a day"),
      NumberOption("patience", "s", 0.01, 1e6, "",
                   "Seconds until a waiting user gives up, on average"),
      NumberOption("closing", "1", 1e-6, 0.999, "",
                   "Share of requests lost at the peak at which sign-ups close"),
      NumberOption("speed", "tokens/s", 0.01, 1e5, "", "Speed that a user is given"),
      IntegerOption("decode-devices", "devices", 1, 1e5, "",
                    "Devices that decode together and share the experts"),
      NumberOption("peak-demand", "1", 1, 24, "", "Peak demand / mean demand of a day"),
      NumberOption("night-demand", "1", 0, 1, "", "Demand at night / peak demand"),
      TextOption("demand", "",
                 "In place of these two: 24 numbers, one an hour, separated by commas"),
      FileOption("rules", "A TOML file of more devices and export rules"),
      FileOption("fleet", "A TOML file whose numbers replace those of the built-in fleet"),
      FileOption("money", "A TOML file whose numbers replace what owning costs"),
      FileOption("service", "A TOML file whose numbers replace those of the built-in service"),
  };
  AddHardwareAndSampling(command.options);
  SetLikely(command, Service::Load());
  const Fleet f = Fleet::Load();
  SetLikely(command, {{"research", f.research},
                      {"training", f.training},
                      {"inference", f.inference},
                      {"answers", f.answers_per_user},
                      {"patience", f.patience},
                      {"closing", f.closing}});
  SetGroup(command, "Shares of the fleet", {"research", "training", "inference"});
  SetGroup(command, "Users and what they get",
           {"answer-tokens", "answers", "patience", "closing", "speed", "decode-devices"});
  SetGroup(command, kDemandGroup, {"peak-demand", "night-demand", "demand"});
  SetCommonGroups(command);
  return command;
}

}  // namespace fathom
