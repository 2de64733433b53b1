#include "plan/device_inputs.h"

namespace fathom {

std::vector<UncertainInput> UncertainInputs(Accelerator& device) {
  std::vector<UncertainInput> inputs = {{"memory of a device", &device.hbm_gb},
                                        {"memory bandwidth", &device.hbm_gb_per_s},
                                        {"bf16 peak", &device.bf16_tflops},
                                        {"links inside a server", &device.scale_up_gb_per_s},
                                        {"network", &device.scale_out_gb_per_s}};
  if (device.fp8_tflops) inputs.push_back({"FP8 peak", &*device.fp8_tflops});
  if (device.int8_tops) inputs.push_back({"INT8 peak", &*device.int8_tops});
  return inputs;
}

std::vector<UncertainInput> UncertainInputs(Kernels& kernels) {
  return {{"speed of matrix products", &kernels.gemm_speed},
          {"attention, TFLOPS", &kernels.attention_tflops},
          {"attention, GB/s", &kernels.attention_gb_per_s},
          {"elementwise, GB/s", &kernels.elementwise_gb_per_s},
          {"small products, GB/s", &kernels.small_gemm_gb_per_s},
          {"processors that communicate", &kernels.communication_processors},
          {"exchange in decoding, time", &kernels.low_latency_time}};
}

}  // namespace fathom
