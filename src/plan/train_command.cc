// What `fathom plan train` can be told.

#include "plan/commands.h"
#include "plan/option_makers.h"
#include "plan/programme.h"

namespace fathom {

PlanCommand TrainCommand() {
  PlanCommand command{"train",
                      "Memory, step time and cost of a training run.",
                      "fathom plan train v3; fathom plan train llama-1-65b --on a100 --devices "
                      "2048 --tokens 1.4e12 --length 2048 --utilisation 0.485",
                      {}};
  command.options = {
      ModelOption(),
      DeviceOption(),
      RentOption(),
      NumberOption("tokens", "tokens", 1, 1e18, "14.8e12", "Tokens to train on"),
      IntegerOption("devices", "devices", 1, 1 << 24, "2048", "Devices that train"),
      IntegerOption("tp", "devices", 1, 1 << 24, "1",
                    "Devices that share every matrix (tensor parallel)"),
      IntegerOption("pp", "stages", 1, 1 << 24, "16", "Pipeline stages"),
      IntegerOption("ep", "devices", 1, 1 << 24, "",
                    "Devices that share the experts; without it 64, or 1 where there are none"),
      IntegerOption("zero", "1", 1, 3, "1",
                    "ZeRO stage: what is shared out over data-parallel devices"),
      ChoiceOption("schedule", {"1f1b", "interleaved", "zb1p", "dualpipe", "dualpipev"}, "dualpipe",
                   "Schedule of the pipeline"),
      IntegerOption("virtual-stages", "chunks", 1, 1024, "2",
                    "Chunks of layers on a device, of the interleaved schedule"),
      IntegerOption("batch", "sequences", 1, 1 << 24, "15360", "Sequences of a step"),
      IntegerOption("length", "tokens", 1, 1 << 24, "4096", "Tokens of a sequence"),
      IntegerOption("micro-batch", "sequences", 1, 1 << 24, "1", "Sequences of a micro-batch"),
      ChoiceOption("precision", {"fp8", "bf16"}, "",
                   "Precision of matrix products; without it FP8 where there is FP8"),
      NumberOption("utilisation", "1", 1e-6, 1, "",
                   "Share of the bf16 peak that is reached, instead of a step's model"),
      FlagOption("no-mtp", "Without the multi-token prediction modules"),
      NumberOption("restarts", "1", 0, 100, "", "Lost to failures and rollbacks, against the run"),
      NumberOption("reinforcement", "1", 0, 1000, "", "Reinforcement learning, against the run"),
      NumberOption("experiments", "1", 0, 1000, "",
                   "Ablations and unreleased models, against the run"),
      NumberOption("data", "$", 0, 1e12, "", "Spent on data"),
      NumberOption("people", "people", 0, 1e6, "", "People who work on the model"),
      NumberOption("person-year", "$", 0, 1e8, "", "Cost of one of them a year"),
      NumberOption("work-years", "years", 0, 100, "", "Years that they work on it"),
      FileOption("programme", "A TOML file whose numbers replace what a programme is made of"),
  };
  command.options.push_back(PriceFileOption());
  AddHardwareAndSampling(command.options);
  const Programme p = Programme::Load();
  SetLikely(command, {{"restarts", p.restarts},
                      {"reinforcement", p.reinforcement},
                      {"experiments", p.experiments},
                      {"data", p.data},
                      {"people", p.people},
                      {"person-year", p.person_year},
                      {"work-years", p.years}});
  SetGroup(command, "How it is trained",
           {"tp", "pp", "ep", "zero", "schedule", "virtual-stages", "batch", "length",
            "micro-batch", "precision", "utilisation", "no-mtp"});
  SetGroup(
      command, "The whole programme",
      {"restarts", "reinforcement", "experiments", "data", "people", "person-year", "work-years"});
  SetCommonGroups(command);
  return command;
}

}  // namespace fathom
