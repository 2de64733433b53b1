// What `fathom plan serve` can be told.

#include "plan/commands.h"
#include "plan/option_makers.h"
#include "plan/prices.h"

namespace fathom {

PlanCommand ServeCommand() {
  PlanCommand command{"serve",
                      "Throughput, nodes, cost and margin of a service.",
                      "fathom plan serve v3 --on h20 --speed 15 --decode-devices 32",
                      {}};
  command.options = {
      ModelOption(),
      DeviceOption(),
      RentOption(),
      NameOption("price", KeysOf(Prices::Load().api), "deepseek-r1",
                 "Whose prices tokens are sold at"),
      NumberOption("speed", "tokens/s", 0.01, 1e5, "", "Speed that a user is given"),
      NumberOption("context", "tokens", 1, 1e8, "", "Tokens in a sequence's cache, on average"),
      IntegerOption("prefill-devices", "devices", 1, 1e5, "", "Devices that prefill together"),
      IntegerOption("decode-devices", "devices", 1, 1e5, "",
                    "Devices that decode together and share the experts"),
      IntegerOption("kv-heads", "heads", 1, 1e5, "",
                    "Grouped-query attention with so many heads, in place of the model's"),
      IntegerOption("tp", "devices", 1, 1024, "1",
                    "Devices that share attention, dense layers and head"),
      IntegerOption("pp", "stages", 1, 1024, "1", "Pipeline stages of decoding"),
      IntegerOption("mtp", "tokens", 0, 8, "0", "Tokens that MTP modules draft a step"),
      NumberOption("acceptance", "1", 0, 1, "", "Share of drafted tokens that are right"),
      ChoiceOption("precision", {"fp8", "bf16"}, "fp8",
                   "Precision of matrix products (INT8 stands for FP8 where there is none)"),
      NumberOption("hit-rate", "1", 0, 0.999, "", "Share of input found in the context cache"),
      NumberOption("input-tokens", "tokens", 1, 1e18, "",
                   "Input tokens of a day, cached ones counted"),
      NumberOption("output-tokens", "tokens", 1, 1e18, "", "Output tokens of a day"),
      NumberOption("peak-demand", "1", 1, 24, "", "Peak demand / mean demand of a day"),
      NumberOption("night-demand", "1", 0, 1, "", "Demand at night / peak demand"),
      TextOption("demand", "",
                 "In place of these two: 24 numbers, one an hour, separated by commas"),
      NumberOption("burst", "1", 1, 100, "", "Busiest minutes of an hour / the hour"),
      IntegerOption("hold", "hours", 1, 24, "",
                    "Hours that a node serves before it may do something else"),
      NumberOption("refusals", "1", 1e-6, 0.5, "",
                   "Share of requests that may find no place at the peak"),
      NumberOption("answer-tokens", "tokens", 1, 1e7, "",
                   "Tokens of an answer, its thinking included"),
      IntegerOption("redundant-experts", "experts", 0, 1e5, "",
                    "Copies of experts beyond one of each"),
      NumberOption("zipf", "1", 0, 4, "",
                   "Loads of experts by Zipf's law with this exponent, placed as EPLB does"),
      FileOption("loads", "A file of measured loads, one number an expert, placed as EPLB does"),
      NumberOption("device-price", "$", 0.01, 1e8, "",
                   "Price of an owned device with its share of the server"),
      FileOption("money", "A TOML file whose numbers replace what owning costs"),
      FileOption("service", "A TOML file whose numbers replace those of the built-in service"),
  };
  command.options.push_back(PriceFileOption());
  AddHardwareAndSampling(command.options);
  SetLikely(command, Service::Load());
  SetGroup(command, "How it is served",
           {"prefill-devices", "decode-devices", "kv-heads", "tp", "pp", "mtp", "acceptance",
            "precision", "redundant-experts", "zipf", "loads"});
  SetGroup(command, kDemandGroup,
           {"peak-demand", "night-demand", "demand", "burst", "hold", "refusals", "answer-tokens"});
  SetGroup(command, "Owned devices", {"device-price"});
  SetCommonGroups(command);
  return command;
}

}  // namespace fathom
